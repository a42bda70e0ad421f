#!/usr/bin/env bash
# Takes away what install.sh has installed. The policy stays, and the rules stay in force until the machine restarts.
#
#   sudo scripts/uninstall.sh [--purge]
#
#   --purge   removes rules, policy, history, user and groups too: the host is open then

set -euo pipefail

purge=no
case ${1-} in
  '') ;;
  --purge) purge=yes ;;
  --help | -h)
    sed -n '2,7s/^# \{0,1\}//p' -- "$0"
    exit 0
    ;;
  *)
    echo "error: no such argument: $1; see --help" >&2
    exit 2
    ;;
esac
if [[ $(id -u) != 0 ]]; then
  echo 'error: only root can take a firewall away: sudo scripts/uninstall.sh' >&2
  exit 3
fi
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

if [[ -d /run/systemd/system ]]; then
  for unit in secgroupd.service secgroupd-boot.service; do
    if [[ -e /etc/systemd/system/$unit ]]; then systemctl --quiet disable --now "$unit"; fi
  done
fi
rm -f -- /etc/systemd/system/secgroupd.service /etc/systemd/system/secgroupd-boot.service
if [[ -d /run/systemd/system ]]; then systemctl daemon-reload; fi

share=/usr/local/share
rm -rf -- /usr/local/lib/secgroupd
rm -f -- /usr/local/bin/secgroupd /usr/local/bin/sgctl
rm -f -- "$share"/man/man8/{secgroupd,sgctl}.8 "$share"/man/man5/secgroupd-policy.5 "$share"/man/man7/secgroupd-chores.7
rm -f -- "$share"/bash-completion/completions/{secgroupd,sgctl} "$share"/zsh/site-functions/_sgctl \
  "$share"/fish/vendor_completions.d/{secgroupd,sgctl}.fish

if [[ $purge == yes ]]; then
  if nft list chain inet secgroupd input >/dev/null 2>&1; then nft delete table inet secgroupd; fi
  for directory in /etc/secgroupd /var/lib/secgroupd /run/secgroupd; do
    # One that something is mounted on cannot be removed, and is left empty.
    rm -rf -- "$directory" 2>/dev/null || echo "$directory is in use and stays; what can be removed in it is" >&2
  done
  if getent passwd secgroupd >/dev/null; then userdel secgroupd; fi
  for group in secgroupd secgroupd-read; do
    if getent group "$group" >/dev/null; then groupdel "$group"; fi
  done
  echo 'secgroupd is gone, and its rules: this host is open as far as secgroupd goes'
elif nft list chain inet secgroupd input >/dev/null 2>&1; then
  echo 'secgroupd is gone; its rules stay in force until the machine restarts, or until: nft delete table inet secgroupd'
else
  echo 'secgroupd is gone; /etc/secgroupd and /var/lib/secgroupd are left, and --purge removes them'
fi
