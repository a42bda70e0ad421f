#!/usr/bin/env bash
# Makes the root of a Debian, as a server has it after its installation, and prints where it is. It is kept among the
# project's packages, and not to be written to.
#
#   scripts/lab/tree.sh bookworm|trixie [container|firewalls|vm]
#
#   firewalls   with ufw, firewalld and iptables, none of them enabled
#   vm          with a kernel, and with what Vagrant needs of a machine

set -euo pipefail

PROJECT=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=$PROJECT/node_modules/.cache/secgroupd-trees
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

suite=${1-} kind=${2-container}
if [[ ! $suite =~ ^(bookworm|trixie)$ || ! $kind =~ ^(container|firewalls|vm)$ ]]; then
  echo 'usage: tree.sh bookworm|trixie [container|firewalls|vm]' >&2
  exit 2
fi

packages=(systemd systemd-sysv dbus udev kmod procps iproute2 inotify-tools iputils-ping nftables openssh-server ca-certificates
  python3-minimal)
hooks=()
if [[ $kind == firewalls ]]; then
  packages+=(ufw firewalld iptables)
  # shellcheck disable=SC2016 # for the shell that mmdebstrap starts
  hooks+=(--customize-hook='chroot "$1" systemctl disable ufw.service firewalld.service')
fi
if [[ $kind == vm ]]; then
  packages+=(linux-image-cloud-amd64 initramfs-tools zstd sudo rsync isc-dhcp-client ifupdown)
  # The least that finds the disk: an initial system with every driver takes an emulated machine ten seconds longer.
  # shellcheck disable=SC2016 # for the shell that mmdebstrap starts
  hooks+=(--essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d" &&
    echo MODULES=list >"$1/etc/initramfs-tools/conf.d/lab" &&
    printf "%s\n" virtio_pci virtio_blk ext4 >"$1/usr/share/initramfs-tools/modules.d/lab"')
fi

recipe=$(printf '%s\n' "${packages[@]}" "${hooks[@]}" | sha1sum | head -c 12)
tree=$CACHE/$suite-$kind-$recipe
mkdir -p -- "$CACHE"
exec 9>"$CACHE/lock"
flock 9
if [[ ! -d $tree ]]; then
  rm -rf -- "$CACHE/$suite-$kind-"*
  # Nobody reads these here.
  LC_ALL=C mmdebstrap --quiet --mode=root --variant=minbase --keyring="$KEYS" \
    --include="$(IFS=,; echo "${packages[*]}")" "${hooks[@]}" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$tree.unfinished" >&2 9>&-
  mv -- "$tree.unfinished" "$tree"
fi
echo "$tree"
