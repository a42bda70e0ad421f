#!/usr/bin/env bash
# Makes the Debian or Ubuntu it runs on a host of the lab: its address on eth1, the names of the others, a key by which
# they log in to each other, and, where the file `hosts` says managed, secgroupd by its package. Again does no harm.
#
#   provision.sh HOST DIRECTORY    the directory has hosts, key, key.pub, package.deb, and perhaps a policy.yaml

set -euo pipefail
umask 022

host=$1 directory=$2
read -r _ ipv4 ipv6 kind < <(grep "^$host " "$directory/hosts")

# Puts a file in place by rename: a machine can lose its power at any moment.
put() {
  mkdir -p -- "$(dirname -- "$2")"
  cat >"$2.new"
  chmod "$1" "$2.new"
  mv -f -- "$2.new" "$2"
}

echo "$host" | put 644 /etc/hostname

{
  printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n'
  while read -r name address address6 _; do printf '%s %s\n%s %s\n' "$address" "$name" "$address6" "$name"; done \
    < <(grep -v '^#' "$directory/hosts")
} | put 644 /etc/hosts

# A unit of its own, for Debian, Ubuntu and their versions differ in who brings a network up. Every host of the lab is
# on the wire, and no other.
networks=$(awk '!/^#/ { print $2 "/32"; print $3 "/128" }' "$directory/hosts")
put 755 /usr/local/sbin/lab-network <<END
#!/bin/sh
set -e
# Its driver may still be on the way.
tries=0
until ip link show eth1 >/dev/null 2>&1 || [ "\$tries" = 600 ]; do
  sleep 0.1
  tries=\$((tries + 1))
done
ip link set eth1 up
ip address replace $ipv4/32 dev eth1
if [ -e /proc/net/if_inet6 ]; then ip address replace $ipv6/128 dev eth1 nodad; fi
for network in $(tr '\n' ' ' <<<"$networks"); do
  case \$network in
    $ipv4/* | $ipv6/*) ;;
    *:*) if [ -e /proc/net/if_inet6 ]; then ip route replace "\$network" dev eth1 src $ipv6; fi ;;
    *) ip route replace "\$network" dev eth1 src $ipv4 ;;
  esac
done
END
put 644 /etc/systemd/system/lab-network.service <<'END'
[Unit]
Description=the lab's network
DefaultDependencies=no
Wants=network.target
After=network-pre.target
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-network
[Install]
WantedBy=multi-user.target
END
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -sfn ../lab-network.service /etc/systemd/system/multi-user.target.wants/lab-network.service

# The keys of hosts that come and go tell nothing. What a host drops does not look like a program that hangs: an attempt,
# by each address, and a session that a new rule cuts, end by themselves.
{
  echo "Host $(awk '!/^#/ { print $1, $2, $3 }' "$directory/hosts" | tr '\n' ' ')"
  printf '  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n'
  printf '  ConnectTimeout 5\n  ServerAliveInterval 5\n  ServerAliveCountMax 2\n'
} | put 644 /etc/ssh/ssh_config.d/lab.conf
printf 'UseDNS no\nMaxStartups 64\nPerSourcePenalties no\n' | put 644 /etc/ssh/sshd_config.d/lab.conf
# Only newer ones know that word.
if ! sshd -t 2>/dev/null; then printf 'UseDNS no\nMaxStartups 64\n' | put 644 /etc/ssh/sshd_config.d/lab.conf; fi
for user in root vagrant; do
  home=$(getent passwd "$user" | cut -d: -f6) || continue
  if [[ -z $home ]]; then continue; fi
  install -d -o "$user" -m 700 "$home/.ssh"
  install -o "$user" -m 600 "$directory/key" "$home/.ssh/id_ed25519"
  touch "$home/.ssh/authorized_keys"
  grep -qxFf "$directory/key.pub" "$home/.ssh/authorized_keys" || cat "$directory/key.pub" >>"$home/.ssh/authorized_keys"
  chown "$user" "$home/.ssh/authorized_keys"
  chmod 600 "$home/.ssh/authorized_keys"
done

if [[ -d /run/systemd/system ]]; then
  hostname "$host"
  systemctl daemon-reload
  systemctl restart lab-network.service
  systemctl reload ssh.service 2>/dev/null || systemctl try-restart ssh.service
fi

if [[ $kind == managed ]]; then
  if [[ -e $directory/policy.yaml ]]; then put 644 /etc/secgroupd/policy.yaml <"$directory/policy.yaml"; fi
  export DEBIAN_FRONTEND=noninteractive
  # What it needs is on the machine, or is fetched.
  if ! dpkg-query --show inotify-tools nftables iproute2 libstdc++6 >/dev/null 2>&1; then apt-get -q update; fi
  # The policy was there before the package.
  apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-confold --reinstall install "$directory/package.deb" >/dev/null
fi
