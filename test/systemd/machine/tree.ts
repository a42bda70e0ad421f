import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../scripts/lab/tree.sh', import.meta.url));

/** The root of a Debian as it is after its installation; not to be written to. Makes it where there is none, in half a minute. */
export function debianTree(suite: 'bookworm' | 'trixie'): string {
  return execFileSync(PROGRAM, [suite], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}
