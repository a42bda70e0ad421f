#!/usr/bin/env bash
# Becomes one host of the lab: process 1 of the namespaces that lab.sh puts it into. Not for calling by hand.
#
#   namespace.sh LAB HOST managed|unmanaged

set -euo pipefail
umask 022

lab=$1 host=$2 kind=$3
own=$lab/hosts/$host

# /proc is still the machine's, so this is the number by which the machine knows this process.
read -r pid _ </proc/self/stat
cd /
mount -t proc proc /proc
hostname "$host"
export HOME=/run/root

# The machine's directory, with changes that only this host sees. A tmpfs holds them, since not every file system can.
make_private() {
  local layer=/run/private$1
  mkdir -p "$layer/upper" "$layer/work"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" "$1"
}

# INVARIANT: what follows writes below /run, /etc, /var/lib and /root only once these are the host's own.
mount -t tmpfs -o mode=755 tmpfs /run
make_private /etc
make_private /var/lib
make_private /root

mkdir -p /run/sshd /run/root /run/secgroupd /etc/secgroupd /var/lib/secgroupd
mount --bind "$own/policy" /etc/secgroupd
mount --bind "$own/run" /run/secgroupd
mount --bind "$own/state" /var/lib/secgroupd

cp "$lab/etc/hosts" /etc/hosts
mkdir -p /etc/profile.d /etc/ssh
# Every ssh of the host reads this, whoever starts it.
cp "$lab/etc/ssh_config" /etc/ssh/ssh_config
cp "$lab/etc/profile.sh" /etc/profile.d/sglab.sh
# A home of its own: what root's dotfiles do at a login is the machine's business.
sed -i 's|^root:.*|root:x:0:0:root:/run/root:/bin/bash|' /etc/passwd
# Without PAM, sshd turns a locked or expired account away even where the key is right.
sed -i 's/^root:.*/root:*:1::::::/' /etc/shadow

# sshd trusts keys only in directories that others cannot write to, unlike the lab's parent, /tmp.
install -m 600 "$lab/etc/key.pub" /run/sshd/authorized_keys
cat >"$own/sshd_config" <<END
HostKey $own/host_key
PidFile $own/sshd.pid
AuthorizedKeysFile /run/sshd/authorized_keys
AuthenticationMethods publickey
PermitRootLogin prohibit-password
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 64
SetEnv "PATH=$lab/bin:$PATH"
END
"$(command -v sshd)" -D -e -f "$own/sshd_config" 2>"$own/sshd.log" &
sshd=$!

if [[ $kind == managed ]]; then "$lab/bin/secgroupd" >>"$own/secgroupd.log" 2>&1 & fi

echo "$pid" >"$own/pid.new"
mv "$own/pid.new" "$own/pid"
# Not for the daemon: it may end, and what it put in force stays.
wait "$sshd"
