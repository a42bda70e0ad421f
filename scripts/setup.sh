#!/usr/bin/env bash
# Brings what running or testing needs onto a fresh Debian 12 or Ubuntu 22.04, or newer, and what running needs onto
# distributions with dnf, zypper or pacman too: what is there already is left as it is. Sourced, it gives the function
# setup, after which NODE is a Node that is new enough.
#
#   sudo scripts/setup.sh run|test|vm|vagrant

set -euo pipefail

PROJECT=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
LIB=/usr/local/lib/secgroupd
RUNTIME=$LIB/runtime
NODE=''

# A command (or file) that must exist, and the package that brings it.
NEEDED_TO_RUN=(
  nft:nftables
  /etc/ssl/certs/ca-certificates.crt:ca-certificates
  # The daemon's interface events.
  ip:iproute2
)
NEEDED_TO_TEST=(
  "${NEEDED_TO_RUN[@]}"
  ping:iputils-ping
  ssh:openssh-client
  sshd:openssh-server
  conntrack:conntrack
  python3:python3
  dnsmasq:dnsmasq-base
  dhclient:isc-dhcp-client
  ps:procps
  unshare:util-linux
  systemd-notify:systemd
  # A Debian of its own for the tests with a real systemd.
  mmdebstrap:mmdebstrap
  /usr/share/keyrings/debian-archive-keyring.gpg:debian-archive-keyring
  systemd-nspawn:systemd-container
  dpkg-deb:dpkg
  openssl:openssl
  zsh:zsh
  fish:fish
  mandoc:mandoc
)
# For the lab of virtual machines.
NEEDED_FOR_VMS=(
  "${NEEDED_TO_TEST[@]}"
  qemu-system-x86_64:qemu-system-x86
  mkfs.ext4:e2fsprogs
)
# For Vagrant with libvirt, and a box of our own.
NEEDED_FOR_VAGRANT=(
  "${NEEDED_FOR_VMS[@]}"
  vagrant:vagrant
  /usr/share/doc/vagrant-libvirt:vagrant-libvirt
  libvirtd:libvirt-daemon-system
  virsh:libvirt-clients
  /usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so:libvirt-daemon-driver-qemu
  qemu-img:qemu-utils
  rsync:rsync
)

# /usr/sbin is not on everyone's PATH, but nft, ip and sshd live there.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $*"
  exit 3
}

is_root() { [[ $(id -u) == 0 ]]; }

is_there() {
  if [[ $1 == /* ]]; then [[ -e $1 ]]; else command -v -- "$1" >/dev/null; fi
}

# What a distribution calls a package that Debian calls so.
name_of() {
  case $1/$2 in
    dnf/iproute2) echo iproute ;;
    zypper/nodejs) echo nodejs-default ;;
    zypper/npm) echo npm-default ;;
    *) echo "$2" ;;
  esac
}

# Installs packages, by Debian's names, with whatever this distribution installs its packages with.
install_packages() {
  local manager='' candidate name names=()
  for candidate in apt-get dnf zypper pacman; do
    if command -v "$candidate" >/dev/null; then
      manager=$candidate
      break
    fi
  done
  is_root || fail "missing: $*; install them (Debian's names), or run this as root"
  for name in "$@"; do names+=("$(name_of "$manager" "$name")"); done
  say "installing: ${names[*]}"
  case $manager in
    apt-get) install_by_apt "${names[@]}" ;;
    dnf) dnf --quiet --assumeyes install "${names[@]}" </dev/null >&2 ;;
    zypper) zypper --quiet --non-interactive install --no-recommends "${names[@]}" </dev/null >&2 ;;
    pacman) pacman --sync --needed --noconfirm "${names[@]}" </dev/null >&2 ;;
    *) fail "missing: $* (Debian's names); there is no apt, dnf, zypper or pacman here, so install them yourself" ;;
  esac
}

# Without letting any of them start or enable a service that was not there before.
install_by_apt() (
  local deny=/usr/sbin/policy-rc.d kept='' had_sshd=no
  if is_there sshd; then had_sshd=yes; fi
  # shellcheck disable=SC2317,SC2329 # reached by the trap
  restore() {
    rm -f -- "$deny"
    if [[ -n $kept ]]; then mv -- "$kept" "$deny"; fi
  }
  if [[ -e $deny || -L $deny ]]; then
    kept=$(mktemp -- "$deny.XXXXXX")
    mv -f -- "$deny" "$kept"
  fi
  trap restore EXIT
  # invoke-rc.d asks this program, and 101 means: the action is not allowed.
  printf '#!/bin/sh\nexit 101\n' >"$deny"
  chmod 755 "$deny"

  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  local apt=(apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  "${apt[@]}" update </dev/null >&2
  "${apt[@]}" install --no-install-recommends "$@" </dev/null >&2
  if [[ $had_sshd == no ]] && is_there sshd && command -v systemctl >/dev/null; then
    systemctl --quiet disable ssh.service ssh.socket 2>/dev/null || true
  fi
)

is_new_enough() {
  # Old shells out of old Nodes: only what Node 12 understands.
  [[ -x $1 ]] && "$1" -e '
    var v = process.versions.node.split(".").map(Number);
    process.exit(v[0] > 20 || (v[0] === 20 && v[1] >= 19) ? 0 : 1);
  ' >/dev/null 2>&1
}

# The Node to use: the one on PATH, or else the private one of an earlier run.
find_node() {
  local candidate
  for candidate in "$(type -P node || true)" "$RUNTIME/bin/node"; do
    if [[ -n $candidate ]] && is_new_enough "$candidate"; then
      # A version manager's shim names the real program only so.
      NODE=$("$candidate" -p process.execPath)
      return
    fi
  done
  return 1
}

# Distributions ship Nodes that are too old. The registry has the plain binary, and the old npm can fetch it, along
# with an npm that fits it.
install_private_node() {
  is_root || fail 'needs Node 20.19 or newer; install it, or run this as root'
  local architecture
  case $(uname -m) in
    x86_64) architecture=x64 ;;
    aarch64) architecture=arm64 ;;
    *) fail "needs Node 20.19 or newer, and there is no ready one for $(uname -m)" ;;
  esac
  command -v npm >/dev/null || install_packages nodejs npm
  say "installing Node 24 into $RUNTIME"
  mkdir -p -- "$RUNTIME/bin"
  npm install --prefix "$RUNTIME" --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --loglevel=error \
    "node-linux-$architecture@24" npm@11 </dev/null >&2
  chmod 755 "$RUNTIME/node_modules/node-linux-$architecture/bin/node"
  ln -sfn -- "../node_modules/node-linux-$architecture/bin/node" "$RUNTIME/bin/node"
  find_node || fail "the Node just installed into $RUNTIME does not run"
}

# npm by the Node that was chosen, whatever Node its own first line asks for.
npm_by_node() {
  local cli
  for cli in "$RUNTIME/node_modules/npm/bin/npm-cli.js" "$(readlink -f -- "$(type -P npm || true)")"; do
    if [[ -f $cli ]]; then
      "$NODE" "$cli" "$@" </dev/null
      return
    fi
  done
  fail 'there is no npm'
}

# npm writes node_modules/.package-lock.json last, so a newer one means an installation that is whole and current.
install_modules() {
  local modules=$PROJECT/node_modules
  # Through a link, `npm ci` would empty what belongs to another.
  if [[ -L $modules ]]; then fail "$modules is a link: remove it, and it is installed here"; fi
  if [[ $modules/.package-lock.json -nt $PROJECT/package-lock.json ]]; then return; fi
  if ! is_there npm && [[ ! -d $RUNTIME/node_modules/npm ]]; then install_packages npm; fi
  say 'installing the packages of package-lock.json'
  (cd -- "$PROJECT" && npm_by_node ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  touch -- "$modules/.package-lock.json"
}

# What runs, without the packages that may lie beside it.
copy_programs() {
  mkdir -p -- "$1"
  cp -r -- "$PROJECT"/dist/{secgroupd.js,sgctl.js,package.json,prebuilds,man} "$1"
}

# setup run|test|vm|vagrant: installs what is missing; sets NODE and puts it first on PATH.
setup() {
  local needed=() missing=() entry
  case ${1-} in
    run) needed=("${NEEDED_TO_RUN[@]}") ;;
    test) needed=("${NEEDED_TO_TEST[@]}") ;;
    vm) needed=("${NEEDED_FOR_VMS[@]}") ;;
    vagrant) needed=("${NEEDED_FOR_VAGRANT[@]}") ;;
    *) fail 'usage: setup.sh run|test|vm|vagrant' ;;
  esac
  for entry in "${needed[@]}"; do
    if ! is_there "${entry%:*}"; then missing+=("${entry##*:}"); fi
  done
  if ((${#missing[@]} > 0)); then install_packages "${missing[@]}"; fi
  if ! find_node; then install_private_node; fi
  PATH="$(dirname -- "$NODE"):$PATH"
  install_modules
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n '2,7s/^# \{0,1\}//p' -- "$0"
    exit 0
  fi
  setup "$@"
  say "ready, with Node $("$NODE" --version)"
fi
