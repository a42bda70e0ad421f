#!/usr/bin/env bash
# Boots a Debian by its own systemd, in namespaces and a control group of its own; ends when it does, and it ends when
# this does. Its root is TREE, with changes kept in DIRECTORY/upper; NETWORK is the name of a network namespace,
# which is its network. Further words are for systemd-nspawn.
#
#   container.sh DIRECTORY TREE NETWORK [WORD]...       DIRECTORY has upper, work, root, and a file `network`

set -euo pipefail

directory=$1 tree=$2 network=$3
shift 3

hierarchy=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
if [[ -z $hierarchy ]]; then
  echo 'error: containers need the unified hierarchy of control groups' >&2
  exit 3
fi
cgroup=$hierarchy/$network
mkdir -p -- "$cgroup"
echo $$ >"$cgroup/cgroup.procs"

# shellcheck disable=SC2016 # for the shell that reads it
exec unshare --mount --cgroup --pid --fork --kill-child --mount-proc --propagation private \
  bash -c '
set -euo pipefail
directory=$1 tree=$2 network=$3 hierarchy=$4
shift 4
umount -R "$hierarchy" 2>/dev/null || true
mount -t cgroup2 none "$hierarchy"
mount --bind "/run/netns/$network" "$directory/network"
mount -t tmpfs tmpfs /run
mount -t overlay -o "lowerdir=$tree,upperdir=$directory/upper,workdir=$directory/work" overlay "$directory/root"
exec systemd-nspawn --quiet --directory="$directory/root" --boot --network-namespace-path="$directory/network" \
  --capability=CAP_NET_ADMIN --register=no --keep-unit --console=pipe --link-journal=no "$@" </dev/null >/dev/null
' bash "$directory" "$tree" "$network" "$hierarchy" "$@"
