import { chown, lstat, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { absolutePath, type PathStep, type PathTrace, tracePath } from '#host/files/trace-path.ts';
import { type UserIds, userIds } from './user-ids.ts';

/** A state directory that cannot be worked in as it is; the message says who must own what. */
class StateDirectoryError extends Error {
  override readonly name = 'StateDirectoryError';
}

/** A state directory, and the user that works in it. */
export interface StateDirectory {
  /** The user other than root whose it is; undefined where root, or whoever this process runs as, works as itself. */
  readonly owner: UserIds | undefined;
  /**
   * Runs `work` as the user whose directory it is. Root must not work there as root: the owner can lay a symlink under
   * any name, and could not read what root leaves. Nothing else may be under way meanwhile: it is the whole process that
   * acts as this user.
   */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** The user of secgroupd.service, to whom systemd gives the state directory that it makes (systemd.exec(5)). */
const SERVICE_USER = 'secgroupd';

/** As the unit has it: StateDirectoryMode=. */
const MODE = 0o750;

/** The group of a user whom no database names. */
const NO_GROUP = 65_534;

/**
 * Finds out whose the state directory at `path` is. Where it is missing, root makes it, and gives it to the user of the
 * service if this host has that user. Throws a StateDirectoryError where others than its owner could lead root elsewhere,
 * and what making it throws.
 */
export async function openStateDirectory(path: string): Promise<StateDirectory> {
  if (process.geteuid?.() !== 0) return workingAs(undefined);
  const trace = await tracePath(absolutePath(path));
  const uid = masterOf(path, trace);
  if (uid !== 0) return workingAs((await userIds(uid)) ?? { uid, gid: NO_GROUP });
  if (trace.target.kind !== 'absent') return workingAs(undefined);
  const user = await userIds(SERVICE_USER);
  // Its parents are for all to pass through, whatever the umask of the person at the keyboard.
  const mask = process.umask(0o022);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await mkdir(path, { mode: MODE });
    if (user !== undefined) await chown(path, user.uid, user.gid);
  } finally {
    process.umask(mask);
  }
  return workingAs(user);
}

/**
 * What there is to say against a process of root's that stays at work in the state directory at `path`, and does several
 * things at a time, so that it cannot act as the user whose that is; undefined where root works in its own.
 */
export async function objectionToRoot(path: string): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  try {
    const uid = masterOf(path, await tracePath(absolutePath(path)));
    return uid === 0
      ? undefined
      : `\`${path}\` is the state directory of user ${uid}, and this is root, whom that user can mislead there: run the daemon as that user, as secgroupd.service does`;
  } catch (error) {
    if (!(error instanceof StateDirectoryError)) throw error;
    return error.message;
  }
}

/** The user who decides what a path leads to: the first other than root who owns a directory on its way, its end included. */
function masterOf(path: string, { steps, target }: PathTrace): number {
  for (const step of steps) {
    const { owner, mode, path: directory } = step.directory;
    if (owner !== 0) return owner;
    if ((mode & OTHERS_WRITE) !== 0 && !isKept(step)) throw shared(path, directory);
  }
  if (target.kind !== 'directory') return 0;
  const { owner, mode, path: directory } = target.directory;
  if (owner === 0 && (mode & OTHERS_WRITE) !== 0) throw shared(path, directory);
  return owner;
}

/** Whether the sticky bit of a directory that all may write to keeps what is there from all but its owner. */
function isKept({ directory: { mode }, entry }: PathStep): boolean {
  return (mode & 0o1000) !== 0 && (entry === undefined || entry.kind === 'directory');
}

const OTHERS_WRITE = 0o022;

function shared(path: string, directory: string): StateDirectoryError {
  return new StateDirectoryError(
    `\`${directory}\` can be written by others than its owner, who could lead what is kept in \`${path}\` elsewhere: chmod go-w ${directory}, or name another --state-dir`,
  );
}

function workingAs(owner: UserIds | undefined): StateDirectory {
  return { owner, run: (work) => (owner === undefined ? work() : runAs(owner, work)) };
}

/**
 * Only the effective ids change, so that root comes back. They are those of all threads (setresuid(2) by glibc's and
 * musl's setxid), libuv's included, and file system access goes by them: capabilities are out of effect meanwhile.
 */
async function runAs<T>({ uid, gid }: UserIds, work: () => Promise<T>): Promise<T> {
  const before = { gid: process.getegid?.() ?? 0, groups: process.getgroups?.() ?? [] };
  process.setgroups?.([gid]);
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(before.gid);
    process.setgroups?.(before.groups);
  }
}

/**
 * Runs a step of work in the state directory at `path`. Where a file there denies it, throws a StateDirectoryError that
 * says who must own what; else what the step throws.
 */
export async function explainDenied<T>(path: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const denied = deniedPath(error);
    if (denied === undefined) throw error;
    const owner = await stat(path).then(
      ({ uid }) => uid,
      () => undefined,
    );
    if (owner === undefined) throw error;
    const found = await lstat(denied).then(
      ({ uid }) => `\`${denied}\` belongs to user ${uid}`,
      () => `\`${denied}\``,
    );
    throw new StateDirectoryError(
      `${found} and this is user ${process.geteuid?.() ?? 0}, who is denied it: all that is in \`${path}\` must belong to the user of the daemon, as \`${path}\` itself does (user ${owner}): chown -Rh ${owner}: ${path}`,
      { cause: error },
    );
  }
}

/** The path to which access was denied; undefined for another kind of failure. */
function deniedPath(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, path } = error as NodeJS.ErrnoException;
  if ((code === 'EACCES' || code === 'EPERM') && path !== undefined) return path;
  return deniedPath(error.cause);
}
