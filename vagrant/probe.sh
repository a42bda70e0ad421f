#!/usr/bin/env bash
# Tries, from the host of the lab it runs on, to ping and to log in to the others, all at once. `check` calls it.
#
#   probe.sh SECONDS [NAME ADDRESS]...      answers lines of: HOST NAME ADDRESS ping|ssh yes|no|failed

set -euo pipefail

patience=$1
shift
host=$(uname -n)

try_ping() {
  if ping -n -q -c 1 -w "$patience" "$2" >/dev/null 2>&1; then echo yes; else echo no; fi
}

# A login counts only if it ends up on the right host.
try_ssh() {
  local name=$1 address=$2 answer error
  error=$(mktemp)
  for _ in 1 2 3; do
    if answer=$(timeout 60 ssh -o BatchMode=yes -o ConnectTimeout="$patience" "$address" uname -n 2>"$error" </dev/null) &&
      [[ $answer == "$name" ]]; then
      rm -f -- "$error"
      echo yes
      return
    fi
    # Connected, but a busy machine did not start sshd in time: what was asked is not answered yet.
    if ! grep -q 'banner exchange' "$error"; then break; fi
  done
  if grep -q 'connect to host' "$error"; then
    echo no
  else
    echo failed
    sed "s/^/$host to $name, $address: /" "$error" >&2
  fi
  rm -f -- "$error"
}

while (($# > 0)); do
  for what in ping ssh; do
    { echo "$host" "$1" "$2" "$what" "$("try_$what" "$1" "$2")"; } &
  done
  shift 2
done
wait
