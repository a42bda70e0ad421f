import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import type { DirectoryPlace, PathStep, PathTrace } from './trace-path.ts';

/** Why a path is not trusted, and what to do about it. */
export interface Distrust {
  /** What others can change. */
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

/** Who may own what this process trusts: root, and the user it runs as. */
export function trustedOwners(): readonly number[] {
  return [0, process.geteuid?.() ?? 0];
}

/**
 * The first directory on the way of a path, from `/` on and along every symlink, in which others than `owners` can
 * replace what the path leads through; undefined where there is none. `path` is the path as it was written.
 */
export function distrustWay(
  path: string,
  { steps, target }: PathTrace,
  owners: readonly number[],
): Distrust | undefined {
  const last = steps.at(-1);
  const file = target.kind === 'file' && last !== undefined ? join(last.directory.path, last.name) : path;
  for (const step of steps) {
    const distrust = isKept(step, owners) ? undefined : distrustDirectory({ path, file }, step.directory, owners);
    if (distrust !== undefined) return distrust;
  }
  return target.kind === 'directory' ? distrustDirectory({ path, file }, target.directory, owners) : undefined;
}

/**
 * Whether the sticky bit of a directory that all may write to, as /tmp is, keeps this entry in its place. It does for a
 * directory of `owners`: others can neither remove it nor move one like it there, since rename(2) asks for the right to
 * write in a directory that gets another parent. A file or a symlink of root's in a directory of theirs, they can move.
 */
function isKept({ directory, entry }: PathStep, owners: readonly number[]): boolean {
  if (!isSticky(directory) || !owners.includes(directory.owner)) return false;
  return entry === undefined || (entry.kind === 'directory' && owners.includes(entry.owner));
}

/** A path as it was written, and the file that it leads to. */
interface Destination {
  readonly path: string;
  readonly file: string;
}

function distrustDirectory(
  { path: written, file }: Destination,
  { path, owner, mode }: DirectoryPlace,
  owners: readonly number[],
): Distrust | undefined {
  const links = file === written ? '' : ', in place of the symlink';
  const elsewhere = `copy \`${file}\` to a directory that root alone can write to, such as ${POLICY_DIRECTORY}${links}`;
  if (!owners.includes(owner)) {
    const isOurs = path === POLICY_DIRECTORY || path.startsWith(`${POLICY_DIRECTORY}/`);
    const message = `\`${path}\` belongs to user ${owner}, who could put another file in the place of \`${written}\``;
    return { path, message, hint: isOurs ? `chown root ${path}` : elsewhere };
  }
  if ((mode & OTHERS_WRITE) === 0) return undefined;
  const message = `\`${path}\` can be written by others than its owner (mode ${mode.toString(8)})`;
  return { path, message, hint: SHARED_DIRECTORIES.has(path) ? elsewhere : `chmod go-w ${path}` };
}

/** Why a file itself, its way being trusted, is not: others than `owners` own it or can write to it. */
export function distrustFile(
  path: string,
  { uid, mode }: Pick<BigIntStats, 'uid' | 'mode'>,
  owners: readonly number[],
): Distrust | undefined {
  const owner = Number(uid);
  if (!owners.includes(owner))
    return {
      path,
      message: `\`${path}\` belongs to user ${owner}, who could change the firewall by it`,
      hint: `chown root ${path}`,
    };
  if ((Number(mode) & OTHERS_WRITE) === 0) return undefined;
  return {
    path,
    message: `\`${path}\` can be written by others than its owner (mode ${(mode & 0o7777n).toString(8)})`,
    hint: `chmod go-w ${path}`,
  };
}

const POLICY_DIRECTORY = '/etc/secgroupd';

/** Programs of all users write to these: that must not be taken from them. */
const SHARED_DIRECTORIES: ReadonlySet<string> = new Set(['/tmp', '/var/tmp', '/dev/shm', '/run/lock', '/var/crash']);

/** Of a file's mode: its group and all others write. An ACL's grants show in the group's bits (acl(5)). */
const OTHERS_WRITE = 0o022;

const STICKY = 0o1000;

function isSticky({ mode }: Pick<DirectoryPlace, 'mode'>): boolean {
  return (mode & STICKY) !== 0;
}
