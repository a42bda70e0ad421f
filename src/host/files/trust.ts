import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import type { DirectoryPlace, PathStep, PathTrace } from './trace-path.ts';

/** Why a path is not trusted, and how to fix it. */
export interface Distrust {
  /** The file or directory that others can change. */
  readonly path: string;
  readonly message: string;
  readonly hint: string;
}

/** The users whose files this process trusts: root, and the user it runs as. */
export function trustedOwners(): readonly number[] {
  return [0, process.geteuid?.() ?? 0];
}

/**
 * The first directory that a path passes, from `/` on and through every symlink, in which users other than `owners` can
 * replace the entry that the path uses; undefined if there is none. `path` is the path as it was written.
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
 * Whether the sticky bit of a world-writable directory such as /tmp protects this entry. It does if the entry is a directory
 * of `owners`: others can neither remove it nor move another one there, since rename(2) requires write permission on a
 * directory that gets a new parent. A file or symlink of root's in a directory of their own they can move there.
 */
function isKept({ directory, entry }: PathStep, owners: readonly number[]): boolean {
  if (!isSticky(directory) || !owners.includes(directory.owner)) return false;
  return entry === undefined || (entry.kind === 'directory' && owners.includes(entry.owner));
}

/** A path as it was written, and the file it leads to. */
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

/** Why a file is not trusted although its path is: users other than `owners` own it or can write to it. */
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

/** Directories that programs of all users write to, so their modes must stay. */
const SHARED_DIRECTORIES: ReadonlySet<string> = new Set(['/tmp', '/var/tmp', '/dev/shm', '/run/lock', '/var/crash']);

/** The mode bits with which a file's group and all others write. Grants of an ACL show in the group's bits (acl(5)). */
const OTHERS_WRITE = 0o022;

const STICKY = 0o1000;

function isSticky({ mode }: Pick<DirectoryPlace, 'mode'>): boolean {
  return (mode & STICKY) !== 0;
}
