# shellcheck shell=bash disable=SC2034,SC2154 # part of lab.sh
# Hosts that are virtual machines with a Debian and its kernel. Each has eth1 on the lab's switch, and eth0 on a network
# of its own with us, which no policy names: by it they are administered, as Vagrant does.

# shellcheck source=scripts/lab/debian.sh
source "$PROJECT/scripts/lab/debian.sh"

NEEDS='vm'
# Four emulated machines on two processors that are busy with something else too.
READY_SECONDS=300
PATIENCE=4

MANAGEMENT=10.0.2

number_of() {
  local i
  for i in "${!HOSTS[@]}"; do if [[ ${HOSTS[i]} == "$1" ]]; then echo "$((i + 10))"; fi; done
}

prepare() {
  local host number
  prepare_debian
  cp -- "$POLICY" "$LAB/etc/policy.yaml"
  TREE=$("$PROJECT/scripts/lab/tree.sh" bookworm vm)
  cp -- "$TREE"/boot/vmlinuz-* "$LAB/etc/vmlinuz"
  cp -- "$TREE"/boot/initrd.img-* "$LAB/etc/initrd"
  provision_all "$TREE"
  for host in "${HOSTS[@]}"; do
    number=$(number_of "$host")
    mkdir -p "$LAB/hosts/$host/upper/etc/network/interfaces.d"
    printf 'auto eth0\niface eth0 inet static\n  address %s/24\n' "$MANAGEMENT.$number" \
      >"$LAB/hosts/$host/upper/etc/network/interfaces.d/eth0"
    printf 'Host %s\n  HostName %s\n' "$host" "$MANAGEMENT.$number"
  done >"$LAB/etc/ssh_config"
  {
    echo 'Host *'
    ssh_options
    cat <<END
  ConnectTimeout 10
  ControlMaster auto
  ControlPath $LAB/etc/%n.ssh
  ControlPersist 600
END
  } >>"$LAB/etc/ssh_config"
  for host in "${HOSTS[@]}"; do make_disk "$host"; done
}

make_disk() {
  local own=$LAB/hosts/$1
  # shellcheck disable=SC2016 # for the shell that reads it
  unshare --mount --propagation private bash -c '
set -euo pipefail
mount -t overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
truncate -s 2G "$1/disk"
mkfs.ext4 -q -d "$1/root" "$1/disk"
' bash "$own" "$TREE"
  rm -rf -- "$own/upper"
}

plug_in() {
  local host=$1 switch
  switch=$(namespace switch)
  if ! ip -n "$switch" link show mgmt >/dev/null 2>&1; then
    ip -n "$switch" link set lo up
    ip -n "$switch" link add mgmt type bridge mcast_snooping 0
    ip -n "$switch" address add "$MANAGEMENT.1/24" dev mgmt
    ip -n "$switch" link set mgmt up
  fi
  ip -n "$switch" tuntap add dev "$host" mode tap
  ip -n "$switch" link set "$host" master switch up
  ip -n "$switch" tuntap add dev "$host-mgmt" mode tap
  ip -n "$switch" link set "$host-mgmt" master mgmt up
}

# A machine can have the device without what the processor needs for it, and then its guests hang.
accelerator() {
  if [[ -w /dev/kvm ]] && grep -qwE 'vmx|svm' /proc/cpuinfo; then echo kvm; else echo tcg,thread=multi; fi
}

start_host() {
  local host=$1 own=$LAB/hosts/$1 number
  number=$(number_of "$host")
  ip netns exec "$(namespace switch)" setsid qemu-system-x86_64 -name "$host" \
    -accel "$(accelerator)" -M q35 -cpu qemu64 -smp 1 -m 512 -nodefaults -display none \
    -kernel "$LAB/etc/vmlinuz" -initrd "$LAB/etc/initrd" \
    -append 'root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off panic=-1 quiet' \
    -drive "file=$own/disk,if=virtio,format=raw,cache=unsafe" -device virtio-rng-pci \
    -netdev "tap,id=n0,ifname=$host-mgmt,script=no,downscript=no" -device "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:$number" \
    -netdev "tap,id=n1,ifname=$host,script=no,downscript=no" -device "virtio-net-pci,netdev=n1,mac=52:54:00:00:01:$number" \
    -serial "file:$own/console.log" -pidfile "$own/pid" </dev/null >"$own/qemu.log" 2>&1 &
  disown
}

stop_host() {
  local host=$1 own=$LAB/hosts/$1 pid
  pid=$(cat -- "$own/pid" 2>/dev/null) || return 0
  kill -KILL "$pid" 2>/dev/null || true
  while [[ -e /proc/$pid ]]; do sleep 0.05; done
  rm -f -- "$own/pid"
  ip netns exec "$(namespace switch)" ssh -F "$LAB/etc/ssh_config" -O exit "$host" 2>/dev/null || true
  rm -f -- "$LAB/etc/$host.ssh"
}

is_up() { is_up_debian "$1"; }

is_serving() { is_serving_debian "$1"; }

on_host() {
  local host=$1
  shift
  ip netns exec "$(namespace switch)" ssh -F "$LAB/etc/ssh_config" "$host" "$(printf '%q ' "$@")"
}

log_in() { ip netns exec "$(namespace switch)" ssh -F "$LAB/etc/ssh_config" -t "$1"; }

is_on() {
  local pid
  pid=$(cat -- "$LAB/hosts/$1/pid" 2>/dev/null) && [[ -e /proc/$pid ]]
}

carry_file() {
  # shellcheck disable=SC2016 # for the shell there
  on_host "$1" sh -c 'mkdir -p "${1%/*}" && cat >"${1%/*}/.${1##*/}.new" && mv "${1%/*}/.${1##*/}.new" "$1"' \
    sh "/etc/secgroupd/$2" <"$LAB/policy/$2"
}

drop_file() { on_host "$1" rm -rf "/etc/secgroupd/$2" </dev/null; }

# They end with the namespace they are in.
stop() { :; }
