import { spawnSync } from 'node:child_process';

/** Whether all these programs are installed; a benchmark installs nothing, and has a column less without them. */
export function arePresent(programs: readonly string[]): boolean {
  return programs.every((program) => spawnSync('sh', ['-c', 'command -v "$0"', program]).status === 0);
}
