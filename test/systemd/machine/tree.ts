import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('../../../scripts/lab/tree.sh', import.meta.url));

/** A Debian as it is after its installation; or with other firewalls beside. */
export type TreeKind = 'container' | 'firewalls';

/** The root of a Debian; not to be written to. Makes it where there is none, in half a minute. */
export function debianTree(suite: 'bookworm' | 'trixie', kind: TreeKind): string {
  return execFileSync(PROGRAM, [suite, kind], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}
