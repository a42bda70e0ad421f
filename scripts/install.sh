#!/usr/bin/env bash
# Installs secgroupd from these sources on any Linux, and under systemd starts it as the service secgroupd. What is
# missing is installed by apt, dnf, zypper or pacman. Run again, it updates programs and unit, and restarts the daemon;
# rules stay in force meanwhile, and a policy that is there is never touched. Where there is none, it gets one that lets
# ssh in on all ports on which sshd listens. uninstall.sh takes it away.
#
#   sudo scripts/install.sh

set -euo pipefail

if [[ ${1-} == --help || ${1-} == -h ]]; then
  sed -n '2,7s/^# \{0,1\}//p' -- "$0"
  exit 0
fi
if (($# > 0)); then
  echo "error: no such argument: $1; see --help" >&2
  exit 2
fi
if [[ $(id -u) != 0 ]]; then
  echo 'error: a firewall can only be installed as root: sudo scripts/install.sh' >&2
  exit 3
fi

# shellcheck source=scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
# shellcheck source=scripts/ssh-ports.sh
source "$PROJECT/scripts/ssh-ports.sh"
umask 022

POLICY=/etc/secgroupd/policy.yaml
STATE=/var/lib/secgroupd
UNITS=/etc/systemd/system
STATUS_SECONDS=60

# The daemon has no access to root's home, where a version manager may keep its Node; so such a Node is copied.
settle_node() {
  case $NODE in
    /usr/* | /opt/*) return ;;
  esac
  mkdir -p -- "$RUNTIME/bin"
  install_file 755 "$NODE" "$RUNTIME/bin/node"
  NODE=$RUNTIME/bin/node
  is_new_enough "$NODE" || fail "$NODE, a copy of the Node in use, does not run by itself; install Node under /usr"
}

# Puts a file in place by rename, so that whoever reads or runs it meets the old or the new one, whole.
install_file() {
  local mode=$1 from=$2 to=$3
  cp -- "$from" "$to.new"
  chmod "$mode" "$to.new"
  mv -f -- "$to.new" "$to"
}

install_programs() {
  mkdir -p -- "$LIB" /usr/local/bin
  rm -rf -- "$LIB/dist.new" "$LIB/dist.old"
  copy_programs "$LIB/dist.new"
  if [[ -e $LIB/dist ]]; then mv -- "$LIB/dist" "$LIB/dist.old"; fi
  mv -- "$LIB/dist.new" "$LIB/dist"
  rm -rf -- "$LIB/dist.old"

  local program wrapper
  wrapper=$(mktemp)
  for program in secgroupd sgctl; do
    printf '#!/bin/sh\nexec %s %s/dist/%s.js "$@"\n' "$NODE" "$LIB" "$program" >"$wrapper"
    install_file 755 "$wrapper" "/usr/local/bin/$program"
  done
  rm -f -- "$wrapper"
}

# What loads the rules last in force as the machine boots.
install_boot() {
  mkdir -p -- "$LIB/boot"
  install_file 755 "$PROJECT/systemd/boot.sh" "$LIB/boot/boot.sh"
  install_file 644 "$PROJECT/systemd/fallback.nft" "$LIB/boot/fallback.nft"
  if [[ -e /etc/secgroupd/boot.conf || -L /etc/secgroupd/boot.conf ]]; then return; fi
  local conf ports
  conf=$(mktemp)
  ports=$(ssh_ports | paste -sd, -) || true
  sed "s/^SSH_PORTS=.*/SSH_PORTS=${ports:-22}/" "$PROJECT/config/boot.conf" >"$conf"
  install_file 644 "$conf" /etc/secgroupd/boot.conf
  rm -f -- "$conf"
}

# Manual pages, and what bash, zsh and fish complete.
install_help() {
  local share=/usr/local/share page section
  for page in "$PROJECT"/dist/man/*; do
    section=${page##*.}
    mkdir -p -- "$share/man/man$section"
    install_file 644 "$page" "$share/man/man$section/${page##*/}"
  done
  install_completion bash "$share/bash-completion/completions/sgctl"
  # bash looks for a file named like the program.
  ln -sfn -- sgctl "$share/bash-completion/completions/secgroupd"
  install_completion zsh "$share/zsh/site-functions/_sgctl"
  install_completion fish "$share/fish/vendor_completions.d/sgctl.fish"
  ln -sfn -- sgctl.fish "$share/fish/vendor_completions.d/secgroupd.fish"
}

install_completion() {
  local shell=$1 file=$2 script
  script=$(mktemp)
  /usr/local/bin/sgctl completion "$shell" >"$script"
  mkdir -p -- "${file%/*}"
  install_file 644 "$script" "$file"
  rm -f -- "$script"
}

install_state() {
  local group
  for group in secgroupd secgroupd-read; do
    if ! getent group "$group" >/dev/null; then groupadd --system "$group"; fi
  done
  if ! getent passwd secgroupd >/dev/null; then
    useradd --system --gid secgroupd --no-create-home --home-dir "$STATE" --shell /usr/sbin/nologin secgroupd
  fi
  # So that the daemon can give its second socket to that group.
  usermod --append --groups secgroupd-read secgroupd
  mkdir -p -- "$STATE" /etc/secgroupd
  chown secgroupd:secgroupd -- "$STATE"
  chmod 750 -- "$STATE"
  if [[ ! -e $POLICY && ! -L $POLICY ]]; then write_policy; fi
  # Editors find the schema beside the policy, whose first line names it.
  install_file 644 "$PROJECT/config/policy.schema.json" /etc/secgroupd/policy.schema.json
}

write_policy() {
  local policy
  policy=$(mktemp)
  policy_with_ssh "$PROJECT/config/policy.yaml" >"$policy"
  install_file 644 "$policy" "$POLICY"
  rm -f -- "$policy"
}

start_service() {
  local unit
  for unit in secgroupd.service secgroupd-boot.service; do install_file 644 "$PROJECT/systemd/$unit" "$UNITS/$unit"; done
  systemctl daemon-reload
  systemctl --quiet reenable secgroupd.service
  # Restart, which also starts: the rules outlive the daemon.
  systemctl restart --no-block secgroupd.service

  local deadline=$((SECONDS + STATUS_SECONDS)) status
  until status=$(/usr/local/bin/sgctl status 2>&1); do
    if ((SECONDS >= deadline)); then
      systemctl --no-pager --full status secgroupd.service >&2 || true
      fail "the daemon does not answer: $status; see journalctl -u secgroupd"
    fi
    sleep 0.5
  done
  printf '%s\n' "$status"
}

setup run
node "$PROJECT/scripts/build.mjs"
settle_node
install_programs
install_help
install_state
install_boot

# A packet has to pass the rules of all.
tell_of_others() {
  local other
  for other in firewalld ufw; do
    if systemctl --quiet is-active "$other.service" 2>/dev/null; then
      printf '\n%s\n' "$other is at work here too: what it does not let in stays out, whatever $POLICY says"
    fi
  done
}

if [[ -d /run/systemd/system ]]; then
  start_service
  tell_of_others
  cat <<END

secgroupd is running. What next:
  sgctl check             is the policy valid?
  sgctl explain --help    what would happen to a packet?
  sudoedit $POLICY        the daemon applies what you save
  sgctl status            what is in force
END
else
  say "installed; no systemd here: /usr/local/bin/secgroupd runs it in the foreground, by $POLICY"
fi
