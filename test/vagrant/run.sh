#!/usr/bin/env bash
# Vagrant's lab as a user runs it: `vagrant up`, a try of all pairs in each scenario, `vagrant destroy`; with libvirt, of
# which there is one for this alone, in namespaces and with files of its own. Tells how long each took.
#
#   sudo test/vagrant/run.sh [NAME]...      of scenarios, such as 1-pc-logs-in; all unless some are said

set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/setup.sh"
umask 022
is_root || fail 'libvirt needs root: sudo test/vagrant/run.sh'

if [[ ${1-} != --inside ]]; then
  setup vagrant
  work=$(mktemp -d /tmp/secgroupd-vagrant-XXXXXX)
  trap 'rm -rf -- "$work"' EXIT
  # Of the checkout there may be machines already.
  mkdir "$work/dist"
  "$PROJECT/scripts/deb.sh" --into "$work/dist"
  "$PROJECT/scripts/box.sh" --into "$work/dist"
  cp -r -- "$PROJECT/vagrant" "$work/vagrant"
  rm -rf -- "$work/vagrant/.vagrant"
  for place in etc lib cache log; do mkdir -p "$work/libvirt/$place"; done
  # Whatever it starts ends with it: it is process 1 there.
  unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private \
    bash "${BASH_SOURCE[0]}" --inside "$work" "$@"
  exit
fi

work=$2
shift 2
failures=0

timed() {
  local what=$1 began=$SECONDS code=0
  shift
  "$@" || code=$?
  echo "## $what: $((SECONDS - began)) s, exit status $code"
  return "$code"
}

start_libvirt() {
  cat >"$work/libvirt/etc/qemu.conf" <<'END'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
END
  echo 'auth_unix_rw = "none"' >"$work/libvirt/etc/libvirtd.conf"
  mount --bind "$work/libvirt/etc" /etc/libvirt
  mount --bind "$work/libvirt/lib" /var/lib/libvirt
  mount --bind "$work/libvirt/cache" /var/cache/libvirt
  mount --bind "$work/libvirt/log" /var/log/libvirt
  mount -t tmpfs -o mode=755 tmpfs /run
  ip link set lo up
  libvirtd >"$work/libvirtd.log" 2>&1 &
  for _ in {1..300}; do
    if virsh -c qemu:///system version >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  cat -- "$work/libvirtd.log" >&2
  fail 'libvirt does not start'
}

# shellcheck disable=SC2317,SC2329 # reached by the trap
finish() {
  local code=$?
  cd -- "$work/vagrant"
  timed 'vagrant destroy' vagrant destroy --force || failures=$((failures + 1))
  if virsh -c qemu:///system list --all --name | grep -q .; then
    echo 'a machine is left' >&2
    failures=$((failures + 1))
  fi
  if ((code != 0)); then exit "$code"; fi
  exit "$((failures > 0))"
}

start_libvirt
export HOME=$work VAGRANT_HOME=$work/vagrant.d LAB_BOX=secgroupd-lab VAGRANT_DEFAULT_PROVIDER=libvirt VAGRANT_NO_COLOR=1 \
  VAGRANT_CHECKPOINT_DISABLE=1
cd -- "$work/vagrant"
timed 'vagrant validate' vagrant validate
timed 'vagrant box add' vagrant box add --name secgroupd-lab "$work/dist/secgroupd-lab.box"
trap finish EXIT
timed 'vagrant up' vagrant up
timed 'what is in force' ./check --patience 4 || failures=$((failures + 1))
scenarios=(--all)
if (($# > 0)); then
  scenarios=()
  for name in "$@"; do scenarios+=("scenarios/$name.yaml"); done
fi
timed 'scenarios' ./check --patience 4 "${scenarios[@]}" || failures=$((failures + 1))
# shellcheck disable=SC2016 # for the shell there
timed 'a command on a machine' vagrant ssh web -c 'sudo sgctl status; sudo grep -E "^(Rss|Pss):" /proc/$(pidof node)/smaps_rollup' ||
  failures=$((failures + 1))
