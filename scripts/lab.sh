#!/usr/bin/env bash
# A lab on this machine: the hosts web, db and bastion, each with a secgroupd of its own and one policy file for all,
# and an unmanaged pc outside; each with an sshd, all on one switch, in namespaces that the machine does not notice.
#
#   sudo scripts/lab.sh                      makes a lab, shows who can ping and ssh to whom, and takes it away;
#                                            on a terminal it waits before that
#   sudo scripts/lab.sh up                   makes a lab and leaves it
#   sudo scripts/lab.sh matrix [ARGUMENT]... shows who can ping and ssh to whom, tried now, and whether `sgctl explain`
#                                            says the same; vagrant/check --help names the arguments
#   sudo scripts/lab.sh shell HOST [COMMAND] a shell on a host (web, db, bastion, pc), where `ping db`, `ssh db` and
#                                            `sgctl status` work; or one command there
#   sudo scripts/lab.sh edit                 edits the policy; prints its path where there is no terminal
#   sudo scripts/lab.sh policy [FILE]        gives the hosts this policy; without one, prints what they have
#   sudo scripts/lab.sh status               what each secgroupd says of itself
#   sudo scripts/lab.sh off|on HOST          takes a host's power, gives it back; for hosts that have any: vms
#   sudo scripts/lab.sh down                 takes the lab away
#
# What a host is, is said before the command that makes a lab: --hosts KIND.
#
#   namespaces   namespaces of this machine with an sshd; there in half a second; so it is unless said
#   containers   Debians with a systemd, in which our package is installed
#   vms          the same with a kernel of their own; emulated where there is no KVM, and there in a minute or two
#
# Where there are several labs, say which before the command: --lab NAME.

set -euo pipefail

usage() { sed -n '2,27s/^# \{0,1\}//p' -- "${BASH_SOURCE[0]}"; }

misuse() {
  echo "error: $1; see --help" >&2
  exit 2
}

NAME=''
KIND=namespaces
COMMAND=demonstrate
while (($# > 0)); do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --lab)
      if [[ ! ${2-} =~ ^sglab-[A-Za-z0-9]+$ ]]; then misuse '--lab takes the name of a lab, such as sglab-x1Y2z3'; fi
      NAME=$2
      shift 2
      ;;
    --hosts)
      if [[ ! ${2-} =~ ^(namespaces|containers|vms)$ ]]; then misuse '--hosts takes namespaces, containers or vms'; fi
      KIND=$2
      shift 2
      ;;
    up | matrix | shell | edit | policy | status | off | on | down)
      COMMAND=$1
      shift
      break
      ;;
    *) misuse "no such command: $1" ;;
  esac
done
case $COMMAND in
  matrix | shell) ;;
  policy | off | on) if (($# > 1)); then misuse "no such argument: $2"; fi ;;
  *) if (($# > 0)); then misuse "no such argument: $1"; fi ;;
esac
if [[ $(id -u) != 0 ]]; then
  echo 'error: a lab is made of network namespaces, which needs root: sudo scripts/lab.sh' >&2
  exit 3
fi

# shellcheck source=scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
umask 022

HOSTS=() MANAGED=()
declare -A IPV4 IPV6
while read -r host ipv4 ipv6 kind; do
  HOSTS+=("$host")
  IPV4[$host]=$ipv4 IPV6[$host]=$ipv6
  if [[ $kind == managed ]]; then MANAGED+=("$host"); fi
done < <(grep -v '^#' "$PROJECT/vagrant/hosts")

# A machine can run without IPv6; then so does its lab.
has_ipv6() { [[ -e /proc/net/if_inet6 ]]; }

# A lab is there as long as its switch is.
labs() { ip netns list | sed -n 's/^\(sglab-[A-Za-z0-9]*\)-switch\( .*\)\{0,1\}$/\1/p'; }

use() {
  NAME=$1
  LAB=/tmp/$NAME
  POLICY=$LAB/policy/policy.yaml
}

# What differs between namespaces, containers and virtual machines is in a file of lab/ each: prepare, plug_in HOST,
# start_host HOST, is_up HOST, on_host HOST COMMAND..., log_in HOST, take_policy and stop; of those with power stop_host.
know_hosts() {
  # shellcheck source=scripts/lab/namespaces.sh
  source "$PROJECT/scripts/lab/$KIND.sh"
}

find_lab() {
  local found
  mapfile -t found < <(labs)
  if [[ -n $NAME ]]; then
    if [[ " ${found[*]} " != *" $NAME "* ]]; then fail "there is no lab $NAME"; fi
  else
    if ((${#found[@]} == 0)); then fail 'there is no lab; make one: sudo scripts/lab.sh up'; fi
    if ((${#found[@]} > 1)); then fail "there are several labs: ${found[*]}; say which: --lab NAME"; fi
    NAME=${found[0]}
  fi
  use "$NAME"
  KIND=$(<"$LAB/kind")
  know_hosts
}

namespace() { echo "$NAME-$1"; }

is_host() { [[ " ${HOSTS[*]} " == *" $1 "* ]]; }

is_managed() { [[ " ${MANAGED[*]} " == *" $1 "* ]]; }

# await HOST WHAT COMMAND...: waits until the command succeeds. If it does not, shows the host's logs, which go with it.
await() {
  local host=$1 what=$2 deadline=$((SECONDS + READY_SECONDS))
  shift 2
  until ("$@") >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then
      tail -n 20 "$LAB/hosts/$host"/*.log >&2 || true
      fail "$what on $host was not ready after $READY_SECONDS s"
    fi
    sleep 0.1
  done
}

build_programs() {
  local built=$PROJECT/dist/secgroupd.js
  if [[ ! -e $built || -n $(find "$PROJECT/src" "$PROJECT/scripts/build.mjs" "$PROJECT/package-lock.json" \
    -newer "$built" -print -quit) ]]; then
    "$NODE" "$PROJECT/scripts/build.mjs" >&2
  fi
}

write_files() {
  local host
  mkdir "$LAB/bin" "$LAB/etc" "$LAB/policy" "$LAB/hosts"
  echo "$KIND" >"$LAB/kind"
  cp -- "$PROJECT/vagrant/policy/policy.yaml" "$POLICY"
  ssh-keygen -q -t ed25519 -N '' -C "$NAME" -f "$LAB/etc/key"
  {
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n'
    for host in "${HOSTS[@]}"; do
      echo "${IPV4[$host]} $host"
      if has_ipv6; then echo "${IPV6[$host]} $host"; fi
    done
  } >"$LAB/etc/hosts"
  for host in "${HOSTS[@]}"; do mkdir "$LAB/hosts/$host"; done
}

# The switch has a namespace of its own, and no end of a cable is ever in the machine's.
make_switch() {
  ip netns add "$(namespace switch)"
  ip -n "$(namespace switch)" link add switch type bridge mcast_snooping 0
  ip -n "$(namespace switch)" link set switch up
}

# A namespace for a host, with an eth1 on the switch, which is down and has no addresses.
plug_in_namespace() {
  local host=$1 switch
  switch=$(namespace switch)
  ip netns add "$(namespace "$host")"
  ip -n "$switch" link add "$host" type veth peer name eth1 netns "$(namespace "$host")"
  ip -n "$switch" link set "$host" master switch up
}

# How the hosts of a lab are logged in to: their keys come and go with it.
ssh_options() {
  cat <<END
User root
IdentityFile $LAB/etc/key
IdentitiesOnly yes
BatchMode yes
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
END
}

await_host() {
  await "$1" sshd is_up "$1"
  if is_managed "$1"; then await "$1" secgroupd on_host "$1" nft -t list table inet secgroupd; fi
}

up() {
  local host
  setup "$NEEDS"
  build_programs
  # From here on, whatever goes wrong, nothing is left behind.
  trap down EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  use "$(basename -- "$(mktemp -d /tmp/sglab-XXXXXX)")"
  write_files
  prepare
  make_switch
  for host in "${HOSTS[@]}"; do plug_in "$host"; done
  for host in "${HOSTS[@]}"; do start_host "$host"; done
  for host in "${HOSTS[@]}"; do await_host "$host"; done
}

# Ends what runs in the namespaces of the lab, shells of its users included, and removes them and the files.
down() {
  # INVARIANT: nothing interrupts this half way.
  trap '' HUP INT TERM
  if [[ -z $NAME ]]; then return; fi
  local host pids
  stop
  for host in "${HOSTS[@]}" switch; do
    if [[ ! -e /run/netns/$(namespace "$host") ]]; then continue; fi
    for _ in {1..50}; do
      mapfile -t pids < <(ip netns pids "$(namespace "$host")")
      if ((${#pids[@]} == 0)); then break; fi
      kill -KILL "${pids[@]}" 2>/dev/null || true
      sleep 0.02
    done
    ip netns del "$(namespace "$host")" || true
  done
  rm -rf -- "$LAB"
}

matrix() { bash "$PROJECT/vagrant/check" --lab "$NAME" --patience "$PATIENCE" "$@"; }

status() {
  local host
  for host in "${MANAGED[@]}"; do
    echo "== $host"
    on_host "$host" sgctl status </dev/null || true
    echo
  done
}

edit() {
  if [[ ! -t 0 || ! -t 1 ]]; then
    echo "$POLICY"
    return
  fi
  # As git does it: the variable may hold a command with arguments.
  sh -c "${VISUAL:-${EDITOR:-vi}} \"\$1\"" edit "$POLICY"
  "$NODE" "$PROJECT/dist/sgctl.js" check "$POLICY"
  take_policy
}

policy() {
  if (($# == 0)); then
    cat -- "$POLICY"
    return
  fi
  [[ -f $1 ]] || fail "there is no $1"
  cp -- "$1" "$POLICY.new"
  mv -f -- "$POLICY.new" "$POLICY"
  take_policy
}

open_shell() {
  local host=${1-}
  is_host "$host" || misuse "shell takes a host: ${HOSTS[*]}"
  shift
  if (($# > 0)); then on_host "$host" "$@"; else log_in "$host"; fi
}

power() {
  local verb=$1 host=${2-}
  is_host "$host" || misuse "$verb takes a host: ${HOSTS[*]}"
  [[ $KIND == vms ]] || fail "a host of $KIND has no power of its own"
  if [[ $verb == on ]]; then start_host "$host"; else stop_host "$host"; fi
}

advise() {
  cat <<END
$NAME: one policy for all, $POLICY
  sudo scripts/lab.sh edit            change it: the hosts apply what you save
  sudo scripts/lab.sh matrix          what that did
  sudo scripts/lab.sh shell pc        then ping web, ssh bastion
  sudo scripts/lab.sh shell web       then sgctl status, nft list table inet secgroupd
END
}

demonstrate() {
  up
  if [[ ! -t 0 || ! -t 1 ]]; then
    matrix
    return
  fi
  matrix || true
  advise
  local line
  while read -rp 'Enter tries all again, q ends the lab: ' line && [[ $line != q ]]; do matrix || true; done
}

case $COMMAND in
  demonstrate | up) know_hosts ;;
  *) find_lab ;;
esac
case $COMMAND in
  demonstrate) demonstrate ;;
  up)
    up
    trap - EXIT
    advise
    echo '  sudo scripts/lab.sh down            takes the lab away'
    ;;
  matrix) matrix "$@" ;;
  shell) open_shell "$@" ;;
  edit)
    find_node || fail 'needs Node 20.19 or newer'
    edit
    ;;
  policy) policy "$@" ;;
  status) status ;;
  off | on) power "$COMMAND" "$@" ;;
  down) down ;;
esac
