#!/bin/sh
# Loads, as the machine boots and before anybody can reach it, the rules that were last in force: plain nft, and a shell.
# The daemon takes over when it has started. Where these rules are missing, or the kernel refuses them, FALLBACK of
# /etc/secgroupd/boot.conf says what is done instead. Prints what it did; ends with 1 where it could load nothing.

set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin
state=${STATE_DIRECTORY:-/var/lib/secgroupd}
here=$(dirname -- "$0")
fallback=${FALLBACK:-limited}
ssh_ports=${SSH_PORTS:-22}
# 100,000 addresses take a second or two; an nft that hangs must not hold up the boot for ever.
seconds=${LOAD_SECONDS:-25}

load() {
  timeout -s KILL "$seconds" nft "$@"
}

# Only the first start of a boot finds no table; later ones must not undo what the daemon has in force.
if load list chain inet secgroupd input >/dev/null 2>&1; then
  echo 'there are rules of secgroupd already; they stay'
  exit 0
fi

if [ -s "$state/last-good.nft" ]; then
  if load -f "$state/last-good.nft"; then
    # The changes of members since; without them it is what was in force a while ago.
    if [ -s "$state/last-good-changes.nft" ] && ! load -f "$state/last-good-changes.nft"; then
      echo 'warning: the last changes of members could not be loaded; the daemon will make them' >&2
    fi
    echo 'the rules last in force are in force'
    exit 0
  fi
  echo "error: $state/last-good.nft was refused" >&2
else
  echo "there are no rules in $state yet"
fi

case $fallback in
  open)
    echo 'warning: FALLBACK=open: the host is open until the daemon has started' >&2
    exit 0
    ;;
  /*)
    if load -f "$fallback"; then
      echo "the rules of $fallback are in force"
      exit 0
    fi
    echo "error: FALLBACK=$fallback was refused; the limited rules are loaded instead" >&2
    ;;
  limited) ;;
  *) echo "error: FALLBACK=$fallback is neither limited, open nor a path; taken as limited" >&2 ;;
esac

if [ -s "$state/fallback.nft" ] && load -f "$state/fallback.nft"; then
  echo 'limited rules are in force: management and ssh in, everything out'
elif load -D "ssh_ports={ $ssh_ports }" -f "$here/fallback.nft"; then
  echo "limited rules are in force: ssh (ports $ssh_ports) in, everything out"
elif load -D 'ssh_ports={ 22 }' -f "$here/fallback.nft"; then
  echo "error: SSH_PORTS=$ssh_ports are no ports; ssh on port 22 in, everything out" >&2
else
  echo 'error: not even the limited rules were accepted: this host is open until the daemon has started' >&2
  exit 1
fi
