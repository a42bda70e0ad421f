#!/usr/bin/env bash
# A lab on this machine: the hosts web, db and bastion, each with a secgroupd of its own and one policy file for all,
# and an unmanaged pc outside; each with an sshd, all on one switch, in namespaces that the machine does not notice.
#
#   sudo scripts/lab.sh                      makes a lab, shows who can ping and ssh to whom, and takes it away;
#                                            on a terminal it waits before that
#   sudo scripts/lab.sh up                   makes a lab and leaves it
#   sudo scripts/lab.sh matrix               shows who can ping and ssh to whom, tried now
#   sudo scripts/lab.sh shell HOST [COMMAND] a shell on a host (web, db, bastion, pc), where `ping db`, `ssh db` and
#                                            `sgctl status` work; or one command there
#   sudo scripts/lab.sh edit                 edits the policy; prints its path where there is no terminal
#   sudo scripts/lab.sh status               what each secgroupd says of itself
#   sudo scripts/lab.sh down                 takes the lab away
#
# Where there are several labs, say which before the command: --lab NAME.

set -euo pipefail

usage() { sed -n '2,16s/^# \{0,1\}//p' -- "${BASH_SOURCE[0]}"; }

misuse() {
  echo "error: $1; see --help" >&2
  exit 2
}

NAME=''
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
    up | matrix | shell | edit | status | down)
      COMMAND=$1
      shift
      break
      ;;
    *) misuse "no such command: $1" ;;
  esac
done
if [[ $COMMAND != shell ]] && (($# > 0)); then misuse "no such argument: $1"; fi
if [[ $(id -u) != 0 ]]; then
  echo 'error: a lab is made of network namespaces, which needs root: sudo scripts/lab.sh' >&2
  exit 3
fi

# shellcheck source=scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
umask 022

MANAGED=(web db bastion)
HOSTS=("${MANAGED[@]}" pc)
declare -A IPV4=([web]=192.0.2.10 [db]=192.0.2.20 [bastion]=192.0.2.5 [pc]=198.51.100.10)
declare -A IPV6=([web]=2001:db8::10 [db]=2001:db8::20 [bastion]=2001:db8::5 [pc]=2001:db8:f::10)
READY_SECONDS=30

# A machine can run without IPv6; then so does its lab.
has_ipv6() { [[ -e /proc/net/if_inet6 ]]; }

# A lab is there as long as its switch is.
labs() { ip netns list | sed -n 's/^\(sglab-[A-Za-z0-9]*\)-switch\( .*\)\{0,1\}$/\1/p'; }

use() {
  NAME=$1
  LAB=/tmp/$NAME
  POLICY=$LAB/policy/policy.yaml
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
}

namespace() { echo "$NAME-$1"; }

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

# Runs a command on a host: in its namespaces, with its files.
on_host() {
  local host=$1 pid
  shift
  pid=$(<"$LAB/hosts/$host/pid")
  # Numbers of processes come round again; the namespace tells whether this one is still the host.
  [[ "/proc/$pid/ns/net" -ef "/run/netns/$(namespace "$host")" ]] || fail "$host is not running any more"
  nsenter --target "$pid" --mount --uts --net --pid --wd -- env HOME=/run/root "$@"
}

build_programs() {
  local built=$PROJECT/dist/secgroupd.js
  if [[ ! -e $built || -n $(find "$PROJECT/src" "$PROJECT/scripts/build.mjs" "$PROJECT/package-lock.json" \
    -newer "$built" -print -quit) ]]; then
    "$NODE" "$PROJECT/scripts/build.mjs" >&2
  fi
}

write_wrapper() {
  printf '#!/bin/sh\nexec %s "$@"\n' "$2" >"$LAB/bin/$1"
  chmod 755 "$LAB/bin/$1"
}

write_files() {
  local host
  mkdir "$LAB/bin" "$LAB/etc" "$LAB/policy" "$LAB/hosts" "$LAB/tmp"
  # Copies, so that neither a new build nor an edit of the checkout disturbs a lab.
  cp -r -- "$PROJECT/dist" "$LAB/dist"
  cp -- "$PROJECT/scripts/lab/host.sh" "$PROJECT/scripts/lab/probe.sh" "$LAB/bin"
  cp -- "$PROJECT/scripts/lab/policy.yaml" "$POLICY"

  ssh-keygen -q -t ed25519 -N '' -C "$NAME" -f "$LAB/etc/key"
  cat >"$LAB/etc/ssh_config" <<END
User root
IdentityFile $LAB/etc/key
IdentitiesOnly yes
BatchMode yes
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
LogLevel ERROR
END
  # shellcheck disable=SC2016 # for the shell that reads it
  printf 'PATH=%q:$PATH\n%s\n' "$LAB/bin" 'PS1="\h:\w# "' >"$LAB/etc/profile.sh"
  {
    printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n'
    for host in "${HOSTS[@]}"; do
      echo "${IPV4[$host]} $host"
      if has_ipv6; then echo "${IPV6[$host]} $host"; fi
    done
  } >"$LAB/etc/hosts"

  write_wrapper ssh "$(command -v ssh) -F $LAB/etc/ssh_config"
  write_wrapper sgctl "$NODE $LAB/dist/sgctl.js"
  # shellcheck disable=SC2016 # for the shell that runs it
  write_wrapper secgroupd "$NODE $LAB/dist/secgroupd.js --policy $POLICY"' --instance "$(hostname)"'"\
 --state-dir $LAB/hosts/\"\$(hostname)\"/state --runtime-dir $LAB/hosts/\"\$(hostname)\"/run"
  for host in "${HOSTS[@]}"; do
    mkdir -p "$LAB/hosts/$host/state" "$LAB/hosts/$host/run"
    ssh-keygen -q -t ed25519 -N '' -C "$host" -f "$LAB/hosts/$host/host_key"
  done
}

# The switch has a namespace of its own, and no end of a cable is ever in the machine's.
plug_in() {
  local host switch
  switch=$(namespace switch)
  ip netns add "$switch"
  ip -n "$switch" link add switch type bridge mcast_snooping 0
  ip -n "$switch" link set switch up
  for host in "${HOSTS[@]}"; do
    ip netns add "$(namespace "$host")"
    ip -n "$switch" link add "$host" type veth peer name eth0 netns "$(namespace "$host")"
    ip -n "$switch" link set "$host" master switch up
    # Everyone is on the wire, pc too, whose addresses only look as if they were from elsewhere.
    {
      echo 'link set lo up'
      echo "address add ${IPV4[$host]}/32 dev eth0"
      if has_ipv6; then echo "address add ${IPV6[$host]}/128 dev eth0 nodad"; fi
      echo 'link set eth0 up'
      echo 'route add 0.0.0.0/0 dev eth0'
      if has_ipv6; then echo 'route add ::/0 dev eth0'; fi
    } | ip -n "$(namespace "$host")" -batch -
  done
}

is_managed() { [[ " ${MANAGED[*]} " == *" $1 "* ]]; }

start_host() {
  local host=$1 kind=unmanaged
  if is_managed "$host"; then kind=managed; fi
  # --kill-child: if this unshare is ended, so is the host.
  setsid nsenter --net="/run/netns/$(namespace "$host")" -- \
    unshare --mount --uts --pid --fork --kill-child --propagation slave -- \
    bash "$LAB/bin/host.sh" "$LAB" "$host" "$kind" </dev/null >"$LAB/hosts/$host/boot.log" 2>&1 &
  disown
}

await_host() {
  local host=$1 own=$LAB/hosts/$1
  await "$host" sshd test -s "$own/pid" -a -s "$own/sshd.pid"
  if is_managed "$host"; then await "$host" secgroupd on_host "$host" nft -t list table inet secgroupd; fi
}

up() {
  local host
  setup test
  build_programs
  # From here on, whatever goes wrong, nothing is left behind.
  trap down EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  use "$(basename -- "$(mktemp -d /tmp/sglab-XXXXXX)")"
  write_files
  plug_in
  for host in "${HOSTS[@]}"; do start_host "$host"; done
  for host in "${HOSTS[@]}"; do await_host "$host"; done
}

# Ends what runs in the namespaces of the lab, shells of its users included, and removes them and the files.
down() {
  # INVARIANT: nothing interrupts this half way.
  trap '' HUP INT TERM
  if [[ -z $NAME ]]; then return; fi
  local host pids
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

# One cell of the matrix: what was tried in IPv4 and in IPv6, coloured on a terminal.
cell() {
  local text=$1 colour=33
  if [[ ! -t 1 || -n ${NO_COLOR-} ]]; then
    printf '%-12s' "$text"
    return
  fi
  case $text in
    yes | yes/yes) colour=32 ;;
    no | no/no) colour=31 ;;
  esac
  printf '\e[%sm%-12s\e[0m' "$colour" "$text"
}

matrix() {
  local host other words what from address answer heading='IPv4'
  local -A answers=()
  if has_ipv6; then heading=IPv4/IPv6; fi
  while read -r from _ address what answer; do
    answers[$from,$address,$what]=$answer
  done < <(
    for host in "${HOSTS[@]}"; do
      words=()
      for other in "${HOSTS[@]}"; do
        if [[ $other == "$host" ]]; then continue; fi
        words+=("$other" "${IPV4[$other]}")
        if has_ipv6; then words+=("$other" "${IPV6[$other]}"); fi
      done
      on_host "$host" bash "$LAB/bin/probe.sh" "$LAB" "$host" "${words[@]}" &
    done
    wait
  )
  for what in ping ssh; do
    printf '%-16s' "$what $heading"
    printf 'to %-9s' "${HOSTS[@]}"
    echo
    for host in "${HOSTS[@]}"; do
      printf 'from %-11s' "$host"
      for other in "${HOSTS[@]}"; do
        if [[ $other == "$host" ]]; then
          printf '%-12s' .
          continue
        fi
        answer=${answers[$host,${IPV4[$other]},$what]-failed}
        if has_ipv6; then answer+=/${answers[$host,${IPV6[$other]},$what]-failed}; fi
        cell "$answer"
      done
      echo
    done
    echo
  done
  if [[ ${answers[*]} == *failed* ]]; then return 1; fi
}

status() {
  local host
  for host in "${MANAGED[@]}"; do
    echo "== $host"
    on_host "$host" "$LAB/bin/sgctl" status --runtime-dir "$LAB/hosts/$host/run" || true
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
  "$LAB/bin/sgctl" check "$POLICY"
}

open_shell() {
  local host=${1-}
  if [[ " ${HOSTS[*]} " != *" $host "* ]]; then misuse "shell takes a host: ${HOSTS[*]}"; fi
  shift
  if (($# > 0)); then
    PATH="$LAB/bin:$PATH" on_host "$host" "$@"
  else
    on_host "$host" bash --rcfile "$LAB/etc/profile.sh" -i
  fi
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
  matrix
  if [[ ! -t 0 || ! -t 1 ]]; then return; fi
  advise
  local line
  while read -rp 'Enter tries all again, q ends the lab: ' line && [[ $line != q ]]; do matrix || true; done
}

case $COMMAND in
  demonstrate) demonstrate ;;
  up)
    up
    trap - EXIT
    advise
    echo '  sudo scripts/lab.sh down            takes the lab away'
    ;;
  *)
    find_lab
    case $COMMAND in
      matrix) matrix ;;
      shell) open_shell "$@" ;;
      edit) edit ;;
      status) status ;;
      down) down ;;
    esac
    ;;
esac
