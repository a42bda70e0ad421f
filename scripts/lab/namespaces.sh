# shellcheck shell=bash disable=SC2034,SC2154 # part of lab.sh
# Hosts that are namespaces of this machine, with its programs.

NEEDS='test'
READY_SECONDS=30
PATIENCE=1

write_wrapper() {
  printf '#!/bin/sh\nexec %s "$@"\n' "$2" >"$LAB/bin/$1"
  chmod 755 "$LAB/bin/$1"
}

prepare() {
  local host
  # Copies, so that neither a new build nor an edit of the checkout disturbs a lab.
  copy_programs "$LAB/dist"
  cp -- "$PROJECT/scripts/lab/namespace.sh" "$LAB/bin"

  {
    ssh_options
    give_up_options
  } >"$LAB/etc/ssh_config"
  # shellcheck disable=SC2016 # for the shell that reads it
  printf 'PATH=%q:$PATH\n%s\n' "$LAB/bin" 'PS1="\h:\w# "' >"$LAB/etc/profile.sh"
  write_wrapper sgctl "$NODE $LAB/dist/sgctl.js"
  write_wrapper secgroupd "$NODE $LAB/dist/secgroupd.js"
  for host in "${HOSTS[@]}"; do
    mkdir "$LAB/hosts/$host/state" "$LAB/hosts/$host/run"
    if is_managed "$host"; then carry_file "$host" policy.yaml; fi
    ssh-keygen -q -t ed25519 -N '' -C "$host" -f "$LAB/hosts/$host/host_key"
  done
}

plug_in() {
  local host=$1
  plug_in_namespace "$host"
  {
    echo 'link set lo up'
    echo "address add ${IPV4[$host]}/32 dev eth1"
    if has_ipv6; then echo "address add ${IPV6[$host]}/128 dev eth1 nodad"; fi
    echo 'link set eth1 up'
    echo 'route add 0.0.0.0/0 dev eth1'
    if has_ipv6; then echo 'route add ::/0 dev eth1'; fi
  } | ip -n "$(namespace "$host")" -batch -
}

start_host() {
  local host=$1 kind=unmanaged
  if is_managed "$host"; then kind=managed; fi
  # --kill-child: if this unshare is ended, so is the host.
  setsid nsenter --net="/run/netns/$(namespace "$host")" -- \
    unshare --mount --uts --pid --fork --kill-child --propagation slave -- \
    bash "$LAB/bin/namespace.sh" "$LAB" "$host" "$kind" </dev/null >"$LAB/hosts/$host/boot.log" 2>&1 &
  disown
}

is_up() { [[ -s $LAB/hosts/$1/pid && -s $LAB/hosts/$1/sshd.pid ]]; }

is_serving() { on_host "$1" sh -c 'sgctl status >/dev/null; [ $? != 3 ]' </dev/null; }

enter() {
  local host=$1 pid
  shift
  pid=$(<"$LAB/hosts/$host/pid")
  # Numbers of processes come round again; the namespace tells whether this one is still the host.
  [[ "/proc/$pid/ns/net" -ef "/run/netns/$(namespace "$host")" ]] || fail "$host is not running any more"
  nsenter --target "$pid" --mount --uts --net --pid --wd -- env HOME=/run/root "$@"
}

# Runs a command on a host: in its namespaces, with its files.
on_host() {
  local host=$1
  shift
  PATH="$LAB/bin:$PATH" enter "$host" "$@"
}

log_in() { enter "$1" bash --rcfile "$LAB/etc/profile.sh" -i; }

stop() { :; }
