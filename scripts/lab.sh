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
#                                            `sgctl status` work. One argument, or what follows -c, is a command line
#                                            for sh there; several are a program and its arguments
#   sudo scripts/lab.sh edit                 edits the policy, and waits until the hosts have it; prints its path where
#                                            there is no terminal: the hosts apply each file that is saved beside it
#   sudo scripts/lab.sh policy [FILE]        gives the hosts this policy, and waits until they have it. One that a host
#                                            finds mistakes in changes nothing. Without FILE, prints the policy
#   sudo scripts/lab.sh status               what each secgroupd says of itself
#   sudo scripts/lab.sh off|on HOST          takes a host's power, gives it back; with --hosts containers or vms only
#   sudo scripts/lab.sh down                 takes the lab away
#
# As root, leave out sudo.
#
# What a host is, is said before the command that makes a lab: --hosts KIND.
#
#   namespaces   namespaces of this machine with an sshd; there in seconds; the default
#   containers   Debians with a systemd, in which our package is installed
#   vms          the same with a kernel of their own; emulated where there is no KVM, and there in a minute or two
#
# Where there are several labs, say which before the command: --lab NAME.

set -euo pipefail

usage() { sed -n '2,32s/^# \{0,1\}//p' -- "${BASH_SOURCE[0]}"; }

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
    up | matrix | shell | edit | policy | status | off | on | down | carry)
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
# Commands are printed as they were typed: root may have no sudo.
PROGRAM="${SUDO_COMMAND:+sudo }scripts/lab.sh"

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
# start_host HOST, is_up HOST, is_serving HOST, on_host HOST COMMAND..., log_in HOST and stop; of those with power
# is_on HOST and stop_host HOST. carry_file HOST NAME and drop_file HOST NAME are here, and of virtual machines there.
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
    if ((${#found[@]} == 0)); then fail "there is no lab; make one: $PROGRAM up"; fi
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
  for host in "${HOSTS[@]}"; do mkdir -p "$LAB/hosts/$host/policy"; done
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

# So that what a host drops does not look like a program that hangs: an attempt, by each address, and a session that a
# new rule cuts, end by themselves.
give_up_options() { printf 'ConnectTimeout 5\nServerAliveInterval 5\nServerAliveCountMax 2\n'; }

await_host() {
  await "$1" sshd is_up "$1"
  if is_managed "$1"; then await "$1" secgroupd is_serving "$1"; fi
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
  # Ends with the switch, whose namespace it is in.
  nsenter --net="/run/netns/$(namespace switch)" -- \
    setsid bash "$PROJECT/scripts/lab.sh" --lab "$NAME" carry </dev/null >"$LAB/carry.log" 2>&1 &
  disown
  await_carrying
}

await_carrying() {
  local deadline=$((SECONDS + READY_SECONDS))
  until grep -qs '^Watches established' "$LAB/carry.log"; do
    if ((SECONDS >= deadline)); then fail "nothing carries the policy to the hosts: $(<"$LAB/carry.log")"; fi
    sleep 0.05
  done
}

# --- The policy: each host has a copy of its own, as hosts do ---

# A host's folder, of which it is /etc/secgroupd. By rename: whoever reads a file meets the old or the new one, whole.
carry_file() {
  local to=$LAB/hosts/$1/policy/$2
  mkdir -p -- "${to%/*}"
  cp --preserve=mode -- "$LAB/policy/$2" "${to%/*}/.${to##*/}.new"
  mv -f -- "${to%/*}/.${to##*/}.new" "$to"
}

drop_file() { rm -rf -- "$LAB/hosts/$1/policy/$2"; }

# What is at a path of the lab's folder now, to all hosts: a file, all files of a directory, or that it is gone.
carry_everywhere() {
  local path=$1 name=${1#"$LAB/policy/"} host file
  # What editors leave on the way to a file.
  case ${name##*/} in '' | .* | *~) return ;; esac
  if [[ -d $path ]]; then
    while read -r file; do carry_everywhere "$file"; done < <(find "$path" -type f)
    return
  fi
  for host in "${MANAGED[@]}"; do
    if [[ -f $path ]]; then
      carry_file "$host" "$name" || echo "$host has not got $name" >&2
    elif [[ $name != policy.yaml ]]; then
      # Editors move the policy away before they write it anew.
      drop_file "$host" "$name" || echo "$host still has $name" >&2
    fi
  done
}

# Carries what is saved in the lab's folder to the hosts, for as long as the lab is there.
carry() {
  local events path
  inotifywait --monitor --recursive --event create,close_write,moved_to,moved_from,delete --format '%e %w%f' \
    "$LAB/policy" | while read -r events path; do
    case $events in
      # A file that is not written yet. A directory may have files before it is watched.
      CREATE) ;;
      *) carry_everywhere "$path" ;;
    esac
  done
}

# Those with a secgroupd to ask, in ASKED; the others are named.
find_asked() {
  local host
  ASKED=()
  for host in "${MANAGED[@]}"; do
    # A host that is switched off fails of itself.
    if (on_host "$host" sh -c 'command -v sgctl' </dev/null) >/dev/null 2>&1; then
      ASKED+=("$host")
    else
      echo "$host is not asked: it is off, or has no secgroupd" >&2
    fi
  done
}

# ask_all FILE COMMAND...: runs the command on the hosts of ASKED, with the file as its input. Fails if it fails on one;
# says once what several hosts say.
ask_all() {
  local file=$1 host answers waiting=() failed=no
  shift
  answers=$(mktemp -d)
  for host in "${ASKED[@]}"; do
    on_host "$host" "$@" <"$file" >"$answers/$host" 2>&1 &
    waiting+=("$!")
  done
  for host in "${ASKED[@]}"; do
    if wait "${waiting[0]}"; then rm -f -- "$answers/$host"; else failed=yes; fi
    waiting=("${waiting[@]:1}")
  done
  if [[ $failed == yes ]]; then say_alike "$answers" >&2; fi
  rm -rf -- "$answers"
  [[ $failed == no ]]
}

# What is in the files of a directory, each under their names, and once where they are alike.
say_alike() {
  local file other alike
  for file in "$1"/*; do
    if [[ ! -e $file ]]; then continue; fi
    alike=${file##*/}
    for other in "$1"/*; do
      if [[ $other != "$file" ]] && cmp -s -- "$file" "$other"; then
        alike+=", ${other##*/}"
        rm -f -- "$other"
      fi
    done
    echo "$alike:"
    cat -- "$file"
  done
}

# Waits until the lab's policy is in force on all hosts; fails, with what they say, where it is refused.
await_policy() {
  local digest
  digest=$(sha256sum <"$POLICY")
  if ask_all "$PROJECT/vagrant/in-force.sh" bash -s "$digest" "$READY_SECONDS"; then
    if ((${#ASKED[@]} > 0)); then echo "in force on: ${ASKED[*]}"; fi
  else
    echo 'not in force; what was in force before still is' >&2
    exit 1
  fi
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
    # A host that is off fails of itself.
    (on_host "$host" sgctl status </dev/null) || true
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
  find_asked
  await_policy
}

policy() {
  if (($# == 0)); then
    cat -- "$POLICY"
    return
  fi
  [[ -f $1 ]] || fail "there is no $1"
  find_asked
  if ! ask_all "$1" sgctl check - --as /etc/secgroupd/policy.yaml; then
    echo "nothing changed: mend $1 first" >&2
    exit 1
  fi
  cp -- "$1" "$LAB/policy/.policy.yaml.new"
  mv -f -- "$LAB/policy/.policy.yaml.new" "$POLICY"
  await_policy
}

open_shell() {
  local host=${1-}
  is_host "$host" || misuse "shell takes a host: ${HOSTS[*]}"
  shift
  if [[ ${1-} == -c ]]; then
    (($# == 2)) || misuse 'shell HOST -c takes one command line, in quotes'
    shift
  elif [[ ${1-} == -* ]]; then
    misuse "no such argument: $1"
  fi
  # shellcheck disable=SC2016 # for the shell there
  case $# in
    0) log_in "$host" ;;
    1) on_host "$host" sh -c "$1" ;;
    # By a shell, for what runs commands on hosts takes a NAME=VALUE as an assignment.
    *) on_host "$host" sh -c 'exec "$@"' sh "$@" ;;
  esac
}

power() {
  local verb=$1 host=${2-}
  is_host "$host" || misuse "$verb takes a host: ${HOSTS[*]}"
  [[ $KIND != namespaces ]] || fail 'a host of namespaces has no power of its own: that takes --hosts containers or vms'
  if [[ $verb == off ]]; then
    stop_host "$host"
    return
  fi
  if is_on "$host"; then fail "$host is running"; fi
  # What is left of one that neither runs nor has ended.
  stop_host "$host"
  start_host "$host"
  await_host "$host"
}

advise() {
  cat <<END
$NAME: one policy for all, $POLICY
  $PROGRAM --lab $NAME edit         change it: the hosts apply what you save
  $PROGRAM --lab $NAME matrix       what that did
  $PROGRAM --lab $NAME shell pc     then ping -c1 web, ssh bastion
  $PROGRAM --lab $NAME shell web    then sgctl status, nft list table inet secgroupd
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
    echo "  $PROGRAM --lab $NAME down         takes the lab away"
    echo "vagrant/README.md is a tour of it; --lab $NAME may be left out while there is one lab"
    ;;
  matrix) matrix "$@" ;;
  shell) open_shell "$@" ;;
  edit) edit ;;
  carry) carry ;;
  policy) policy "$@" ;;
  status) status ;;
  off | on) power "$COMMAND" "$@" ;;
  down) down ;;
esac
