#!/usr/bin/env bash
# Builds dist/secgroupd-lab.box, a box for Vagrant with libvirt, from Debian's packages: for machines without the Internet's
# boxes, and without KVM, where it is emulated.
#
#   sudo scripts/box.sh [--into DIRECTORY]     default: dist
#   vagrant box add --name secgroupd-lab dist/secgroupd-lab.box
#   cd vagrant && LAB_BOX=secgroupd-lab vagrant up --provider=libvirt

set -euo pipefail

if [[ ${1-} == --help || ${1-} == -h ]]; then
  sed -n '2,7s/^# \{0,1\}//p' -- "$0"
  exit 0
fi
into=''
if [[ ${1-} == --into && -d ${2-} ]]; then
  into=$(realpath -- "$2")
elif (($# > 0)); then
  echo "error: no such argument, or no such directory: $*; see --help" >&2
  exit 2
fi
if [[ $(id -u) != 0 ]]; then
  echo 'error: making a file system of root'\''s files needs root: sudo scripts/box.sh' >&2
  exit 3
fi

# shellcheck source=scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
umask 022
setup vagrant
tree=$("$PROJECT/scripts/lab/tree.sh" bookworm vm)
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
mkdir "$work/upper" "$work/work" "$work/root" "$work/box"

# The key that every Vagrant knows: the machines are on a network of their own.
key=$(find /usr/share/rubygems-integration /usr/share/ruby-vagrant /opt/vagrant -name vagrant.pub -print -quit 2>/dev/null || true)
[[ -n $key ]] || fail 'Vagrant has no key for boxes here'
cp -- "$key" "$work/key.pub"

# shellcheck disable=SC2016 # for the shell that reads it
unshare --mount --propagation private bash -c '
set -euo pipefail
work=$1 tree=$2 root=$1/root
mount -t overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/work" overlay "$root"
chroot "$root" useradd --create-home --shell /bin/bash vagrant
install -d -m 700 "$root/home/vagrant/.ssh"
install -m 600 "$work/key.pub" "$root/home/vagrant/.ssh/authorized_keys"
chroot "$root" chown -R vagrant:vagrant /home/vagrant
echo "vagrant ALL=(ALL) NOPASSWD: ALL" >"$root/etc/sudoers.d/vagrant"
chmod 440 "$root/etc/sudoers.d/vagrant"
printf "auto eth0\niface eth0 inet dhcp\n" >"$root/etc/network/interfaces.d/eth0"
echo UseDNS no >"$root/etc/ssh/sshd_config.d/vagrant.conf"
truncate -s 3G "$work/disk"
mkfs.ext4 -q -d "$root" "$work/disk"
' bash "$work" "$tree"

qemu-img convert -c -O qcow2 "$work/disk" "$work/box/box.img"
cp -- "$tree"/boot/vmlinuz-* "$work/box/vmlinuz"
cp -- "$tree"/boot/initrd.img-* "$work/box/initrd"
echo '{ "provider": "libvirt", "format": "qcow2", "virtual_size": 3 }' >"$work/box/metadata.json"
# What a machine of this box is, wherever it is used: it has no boot loader.
cat >"$work/box/Vagrantfile" <<'END'
Vagrant.configure('2') do |config|
  config.vm.provider :libvirt do |libvirt|
    libvirt.kernel = File.join(__dir__, 'vmlinuz')
    libvirt.initrd = File.join(__dir__, 'initrd')
    libvirt.cmd_line = 'root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off panic=-1 quiet'
    libvirt.graphics_type = 'none'
    libvirt.random model: 'random'
    has_kvm = File.writable?('/dev/kvm') && File.read('/proc/cpuinfo').match?(/\b(vmx|svm)\b/)
    unless has_kvm
      libvirt.driver = 'qemu'
      libvirt.cpu_mode = 'custom'
      libvirt.cpu_model = 'qemu64'
    end
  end
end
END
box=${into:=$PROJECT/dist}/secgroupd-lab.box
mkdir -p -- "$into"
tar -cf "$box" -C "$work/box" .
say "${box#"$PROJECT/"}, $(du -h -- "$box" | cut -f1)"
