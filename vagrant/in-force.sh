#!/usr/bin/env bash
# Waits, on the host of the lab it runs on, until the policy file that has this digest is in force; ends with 1, and says
# why, where it is not by then, or is not valid. `check` and scripts/lab.sh call it.
#
#   in-force.sh DIGEST SECONDS      the digest as sha256sum prints it

set -euo pipefail

wanted=$1 deadline=$((SECONDS + $2)) file=/etc/secgroupd/policy.yaml

# in_time COMMAND...: repeats the command until it succeeds, or until it is too late.
in_time() {
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then return 1; fi
    sleep 0.2
  done
}

is_there() { [[ $(sha256sum <$file) == "$wanted" ]]; }

in_time is_there || {
  echo "the policy has not arrived at $file" >&2
  exit 1
}
if ! mistakes=$(sgctl check "$file" 2>&1); then
  echo "$mistakes" >&2
  exit 1
fi
in_time sgctl verify "$file" || {
  sgctl status >&2
  exit 1
}
