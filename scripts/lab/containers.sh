# shellcheck shell=bash disable=SC2034,SC2154 # part of lab.sh
# Hosts that are Debians booted by systemd-nspawn.

# shellcheck source=scripts/lab/debian.sh
source "$PROJECT/scripts/lab/debian.sh"

NEEDS='test'
READY_SECONDS=60
PATIENCE=1

prepare() {
  prepare_debian
  TREE=$("$PROJECT/scripts/lab/tree.sh" bookworm)
  provision_all "$TREE"
  local host
  for host in "${MANAGED[@]}"; do
    cp -a -- "$LAB/hosts/$host/upper/etc/secgroupd/." "$LAB/hosts/$host/policy"
    carry_file "$host" policy.yaml
  done
}

plug_in() { plug_in_namespace "$1"; }

start_host() {
  local host=$1 own=$LAB/hosts/$1 words=()
  if [[ -z ${TREE-} ]]; then TREE=$("$PROJECT/scripts/lab/tree.sh" bookworm); fi
  if is_managed "$host"; then words=(--bind="$own/policy:/etc/secgroupd"); fi
  # The network outlives the host's power, and what a machine's kernel forgets with it does too unless it is removed.
  # 133: its systemd wants to begin again.
  # shellcheck disable=SC2016 # for the shell that reads it
  setsid bash -c '
network=$1
echo $$ >"$2"
shift 2
enter=(nsenter --net="/run/netns/$network" --)
while true; do
  "${enter[@]}" nft flush ruleset
  "${enter[@]}" ip link set eth1 down
  "${enter[@]}" ip address flush dev eth1
  "${enter[@]}" conntrack -F 2>/dev/null
  "$@"
  if [[ $? != 133 ]]; then break; fi
done
' bash "$(namespace "$host")" "$own/power.pid" \
    bash "$PROJECT/scripts/lab/container.sh" "$own" "$TREE" "$(namespace "$host")" --machine="$host" "${words[@]}" \
    </dev/null >"$own/boot.log" 2>&1 &
  disown
}

is_on() { init_of "$1" >/dev/null; }

# The host's process 1, as the machine numbers it.
init_of() {
  local pid
  for pid in $(ip netns pids "$(namespace "$1")"); do
    if [[ $(</proc/"$pid"/comm) == systemd && $(sed -n 's/^NSpid:.*\t//p' "/proc/$pid/status") == 1 ]]; then
      echo "$pid"
      return
    fi
  done
  return 1
}

is_up() { on_host "$1" test -S /run/dbus/system_bus_socket && is_up_debian "$1"; }

is_serving() { is_serving_debian "$1"; }

on_host() {
  local host=$1 pid
  shift
  pid=$(init_of "$host") || fail "$host is not running"
  # nsenter stops itself for good when a host that goes down stops its processes before it ends them, and the host then
  # waits for it; unshare, which makes nothing new here, only waits for the end of its child.
  # Where a signal ends it, this bash does not say so.
  {
    nsenter --target "$pid" --mount --uts --ipc --net --pid --no-fork --root --wd -- unshare --fork -- \
      env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
      TERM="${TERM:-dumb}" "$@" 2>&3 3>&-
  } 3>&2 2>/dev/null
}

log_in() {
  local status=0
  on_host "$1" bash -l || status=$?
  if ((status == 129 || status == 137)); then echo "$1 goes down or restarts, and has ended this shell" >&2; fi
  return "$status"
}

stop_host() {
  local cgroup
  cgroup=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)/$(namespace "$1")
  end_power "$1"
  end_rest "$1"
  if [[ -d $cgroup ]]; then end_group "$cgroup"; fi
}

# What would boot the host again.
end_power() {
  local pid
  pid=$(cat -- "$LAB/hosts/$1/power.pid" 2>/dev/null) || return 0
  # Numbers of processes come round again.
  if grep -qsF "$(namespace "$1")" "/proc/$pid/cmdline"; then kill -KILL -- "-$pid" 2>/dev/null || true; fi
  rm -f -- "$LAB/hosts/$1/power.pid"
}

end_group() {
  local cgroup=$1
  echo 1 >"$cgroup/cgroup.kill"
  # The kernel takes a moment to be rid of the last of its processes.
  for _ in {1..100}; do
    if find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null; then break; fi
    sleep 0.05
  done
}

# Shells that were opened on the host are in no group of it, and the end of its process 1 waits for theirs.
end_rest() {
  local pids
  mapfile -t pids < <(ip netns pids "$(namespace "$1")" 2>/dev/null)
  if ((${#pids[@]} > 0)); then kill -KILL "${pids[@]}" 2>/dev/null || true; fi
}

stop() {
  local host
  for host in "${HOSTS[@]}"; do stop_host "$host"; done
}
