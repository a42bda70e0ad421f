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

conf=/etc/secgroupd/boot.conf
me=$(id -u)

# Whether user $1 is root or this one, and mode $2 lets only the owner write.
is_ours() {
  case $1 in 0 | "$me") ;; *) return 1 ;; esac
  case $2 in *[2367]? | *[2367]) return 1 ;; esac
}

# Whether only root and this user can change the file $1, or what its path leads to: its directories, from / on and
# along every symlink, are judged as the daemon judges those of policy files (src/host/files/trust.ts). Says what is not ours.
is_trusted() {
  rest=$1 at='' links=0
  while :; do
    while [ "${rest#/}" != "$rest" ]; do rest=${rest#/}; done
    name=${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
    case $name in '') return 0 ;; .) continue ;; ..) at=${at%/*} && continue ;; esac
    entry=$at/$name
    # shellcheck disable=SC2046 # owner and mode are two words
    set -- $(stat -c '%u %a' -- "${at:-/}") $(stat -c '%u' -- "$entry" 2>/dev/null)
    if ! is_ours "$1" "$2"; then
      # The sticky bit keeps a directory of ours in its place, and no file or symlink.
      is_kept=false
      case $1:$2 in 0:[1357]??? | "$me":[1357]???) is_kept=true ;; esac
      [ $is_kept = true ] && [ -d "$entry" ] && [ ! -L "$entry" ] && is_ours "$3" 0 ||
        { echo "error: others than root can change what is in ${at:-/}" >&2 && return 1; }
    fi
    if [ -L "$entry" ]; then
      links=$((links + 1))
      [ $links -le 40 ] || return 1
      link=$(readlink -- "$entry")
      case $link in /*) at='' ;; esac
      rest=$link/$rest
    elif [ -d "$entry" ]; then
      at=$entry
    elif [ ! -e "$entry" ]; then
      echo "error: there is no $entry" >&2
      return 1
    else
      # shellcheck disable=SC2046
      set -- $(stat -c '%u %a' -- "$entry")
      is_ours "$1" "$2" && return 0
      echo "error: others than root can change $entry" >&2
      return 1
    fi
  done
}

load() {
  timeout -s KILL "$seconds" nft "$@"
}

# Only the first start of a boot finds no table; later ones must not undo what the daemon has in force.
if load list chain inet secgroupd input >/dev/null 2>&1; then
  echo 'there are rules of secgroupd already; they stay'
  exit 0
fi

if [ -e "$conf" ] && ! is_trusted "$conf"; then
  echo "error: $conf is not trusted, and nothing is done that it says: chown root, and chmod go-w" >&2
  fallback=limited ssh_ports=22
fi

# Whether the file $1 can be read; says who has to own it where it cannot.
is_readable() {
  [ -r "$1" ] && return 0
  echo "error: $1 cannot be read by $(id -un): all that is in $state must belong to that user: chown -Rh $(id -un): $state" >&2
  return 1
}

if [ -s "$state/last-good.nft" ]; then
  if is_readable "$state/last-good.nft" && load -f "$state/last-good.nft"; then
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
    if is_trusted "$fallback" && load -f "$fallback"; then
      echo "the rules of $fallback are in force"
      exit 0
    fi
    echo "error: FALLBACK=$fallback was refused; the limited rules are loaded instead" >&2
    ;;
  limited) ;;
  *) echo "error: FALLBACK=$fallback is neither limited, open nor a path; taken as limited" >&2 ;;
esac

if [ -s "$state/fallback.nft" ] && is_readable "$state/fallback.nft" && load -f "$state/fallback.nft"; then
  echo 'limited rules are in force: management and ssh in, everything out'
elif load -D "ssh_ports={ $ssh_ports }" -f "$here/fallback.nft"; then
  echo "limited rules are in force: ssh (ports $ssh_ports) in, everything out"
elif load -D 'ssh_ports={ 22 }' -f "$here/fallback.nft"; then
  echo "error: SSH_PORTS=$ssh_ports are no ports; ssh on port 22 in, everything out" >&2
else
  echo 'error: not even the limited rules were accepted: this host is open until the daemon has started' >&2
  exit 1
fi
