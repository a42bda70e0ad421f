#!/usr/bin/env bash
# Installs secgroupd on this machine and runs it: under systemd as the service secgroupd, elsewhere in the foreground.
# Run again, it updates what is installed; rules stay in force meanwhile, and a policy that is there is never touched.
#
#   sudo scripts/run.sh

set -euo pipefail

if [[ ${1-} == --help || ${1-} == -h ]]; then
  sed -n '2,5s/^# \{0,1\}//p' -- "$0"
  exit 0
fi
"$(dirname -- "${BASH_SOURCE[0]}")/install.sh" "$@"
if [[ -d /run/systemd/system ]]; then exit; fi
echo 'in the foreground: Ctrl-C ends it and leaves the rules in force' >&2
exec /usr/local/bin/secgroupd --policy /etc/secgroupd/policy.yaml
