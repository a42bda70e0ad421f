#!/usr/bin/env bash
# Everything that proves the project, on a fresh machine too: formats, lint, types and dead code, then all tests, those
# on the kernel included. Its last line is `N passed, N failed, N skipped`; it ends with 0 only if nothing failed and
# nothing was skipped.
#
#   sudo scripts/test.sh

set -euo pipefail

if [[ ${1-} == --help || ${1-} == -h ]]; then
  sed -n '2,6s/^# \{0,1\}//p' -- "$0"
  exit 0
fi
if [[ $(id -u) != 0 ]]; then
  echo 'error: the tests make network namespaces and load rules into them, which needs root: sudo scripts/test.sh' >&2
  exit 3
fi

passed=0 failed=0 skipped=0
output=$(mktemp)

# INVARIANT: the closing line is the last thing written, however this ends. A step before the tests that fails counts
# as one failure; an end that was not counted does too.
close() {
  local code=$?
  rm -f -- "$output"
  if ((code != 0 && failed == 0 && skipped == 0)); then failed=1; fi
  echo "$passed passed, $failed failed, $skipped skipped"
  if ((failed > 0 || skipped > 0 || passed == 0)); then exit 1; fi
}
trap close EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck source=scripts/setup.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"
cd -- "$PROJECT"
setup test
node scripts/build.mjs

checks=0
node scripts/check.mjs --static </dev/null || checks=$?

# The line of the tests is held back: it becomes a part of the closing one.
tests=0
node node_modules/vitest/vitest.mjs run --config=test/vitest.config.ts </dev/null 2>&1 |
  tee -- "$output" | grep -vE --line-buffered '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' || tests=${PIPESTATUS[0]}

counted=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' -- "$output" | tail -n 1 || true)
if [[ $counted =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
  passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]} skipped=${BASH_REMATCH[3]}
fi
if ((tests != 0 && failed == 0)); then failed=1; fi
failed=$((failed + checks))
