#!/usr/bin/env bash
# Tries, from the host of the lab it runs on, to ping and to log in to the others, all at once. Not for calling by hand.
#
#   probe.sh LAB HOST [NAME ADDRESS]...      answers lines of: HOST NAME ADDRESS ping|ssh yes|no|failed

set -euo pipefail

lab=$1 host=$2
shift 2

try_ping() {
  if ping -n -q -c 1 -w 1 "$2" >/dev/null 2>&1; then echo yes; else echo no; fi
}

# A login counts only if it ends up on the right host.
try_ssh() {
  local name=$1 address=$2 answer error
  error=$(mktemp --tmpdir="$lab/tmp")
  for _ in 1 2 3; do
    if answer=$(timeout 30 "$lab/bin/ssh" -o ConnectTimeout=1 "$address" hostname 2>"$error" </dev/null) &&
      [[ $answer == "$name" ]]; then
      echo yes
      return
    fi
    # Connected, but a busy machine did not start sshd within the second: what was asked is not answered yet.
    if ! grep -q 'banner exchange' "$error"; then break; fi
  done
  if grep -q 'connect to host' "$error"; then
    echo no
  else
    echo failed
    sed "s/^/$host to $name, $address: /" "$error" >&2
  fi
}

while (($# > 0)); do
  for what in ping ssh; do
    { echo "$host" "$1" "$2" "$what" "$("try_$what" "$1" "$2")"; } &
  done
  shift 2
done
wait
