import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The two programs as they are shipped. */
export const PROGRAMS = { secgroupd: join(ROOT, 'dist/secgroupd.js'), sgctl: join(ROOT, 'dist/sgctl.js') } as const;

/** Builds the programs if a source is newer than they are. Throws what the build says if it fails. */
export function buildPrograms(): void {
  const built = Math.min(...Object.values(PROGRAMS).map(modified));
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(ROOT, 'src', name));
  const newest = Math.max(
    ...[...sources, join(ROOT, 'package-lock.json'), join(ROOT, 'scripts/build.mjs')].map(modified),
  );
  if (newest > built) execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: ROOT, stdio: 'pipe' });
}

/** When the file was last written; 0 where there is none. */
function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
