# shellcheck shell=bash disable=SC2154 # part of lab.sh
# Hosts that are Debians of their own: they are provisioned as Vagrant provisions its machines, before they boot.

# Builds the package, and gathers what provisioning needs in LAB/etc.
prepare_debian() {
  # The hosts' own disks are as good as compressed.
  bash "$PROJECT/scripts/deb.sh" --quick --into "$LAB/etc"
  cp -- "$PROJECT/vagrant/hosts" "$PROJECT/vagrant/provision.sh" "$LAB/etc/"
  mv -- "$LAB"/etc/secgroupd_*.deb "$LAB/etc/package.deb"
}

# provision_debian HOST TREE: what the host has beside the tree is then in LAB/hosts/HOST/upper.
provision_debian() {
  local host=$1 tree=$2 own=$LAB/hosts/$1
  mkdir "$own/upper" "$own/work" "$own/root"
  : >"$own/network"
  # shellcheck disable=SC2016 # for the shell that reads it
  unshare --mount --pid --fork --kill-child --propagation private bash -c '
set -euo pipefail
own=$1 tree=$2 etc=$3 host=$4 root=$1/root
mount -t overlay -o "lowerdir=$tree,upperdir=$own/upper,workdir=$own/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
for device in null zero random urandom; do
  if [[ ! -e $root/dev/$device ]]; then : >"$root/dev/$device"; fi
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir -p "$root/run/lab" "$root/run/sshd"
mount --bind "$etc" "$root/run/lab"
chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
  bash /run/lab/provision.sh "$host" /run/lab
' bash "$own" "$tree" "$LAB/etc" "$host" >"$own/provision.log" 2>&1
}

# Asked one by one: of several units systemctl is content with one.
is_up_debian() {
  on_host "$1" sh -c 'systemctl --quiet is-active ssh.service && systemctl --quiet is-active lab-network.service' </dev/null
}

# A daemon that was disabled or removed is not waited for.
is_serving_debian() {
  on_host "$1" sh -c 'systemctl --quiet is-enabled secgroupd.service || exit 0; sgctl status >/dev/null; [ $? != 3 ]' </dev/null
}

# All at once.
provision_all() {
  local host tree=$1 waiting=()
  for host in "${HOSTS[@]}"; do
    provision_debian "$host" "$tree" &
    waiting+=("$!")
  done
  for host in "${HOSTS[@]}"; do
    wait "${waiting[0]}" || {
      cat -- "$LAB/hosts/$host/provision.log" >&2
      fail "$host cannot be prepared"
    }
    waiting=("${waiting[@]:1}")
  done
}
