import { chown, lstat, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { absolutePath, type PathStep, type PathTrace, tracePath } from '#host/files/trace-path.ts';
import { type UserIds, userIds } from './user-ids.ts';

/** The state directory cannot be used as it is; the message says who must own what. */
class StateDirectoryError extends Error {
  override readonly name = 'StateDirectoryError';
}

/** A state directory, and the user to work in it as. */
export interface StateDirectory {
  /** The owner if it is not root; undefined if this process works as the user it runs as. */
  readonly owner: UserIds | undefined;
  /**
   * Runs `work` as the owner of the directory. Root must not work there as root: the owner can put a symlink under any
   * name, and could not read files of root. Nothing else may run at the same time, since the whole process acts as this
   * user.
   */
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** The user of secgroupd.service, which owns the state directory that systemd creates (systemd.exec(5)). */
const SERVICE_USER = 'secgroupd';

/** The unit's StateDirectoryMode=. */
const MODE = 0o750;

/** The group of a user that no database names. */
const NO_GROUP = 65_534;

/**
 * Finds the owner of the state directory at `path`. If it is missing, root creates it, and gives it to the user of the
 * service if this host has that user. Throws a StateDirectoryError if users other than its owner could redirect root, and
 * what creating it throws.
 */
export async function openStateDirectory(path: string): Promise<StateDirectory> {
  if (process.geteuid?.() !== 0) return workingAs(undefined);
  const trace = await tracePath(absolutePath(path));
  const uid = controllerOf(path, trace);
  if (uid !== 0) return workingAs((await userIds(uid)) ?? { uid, gid: NO_GROUP });
  if (trace.target.kind !== 'absent') return workingAs(undefined);
  const user = await userIds(SERVICE_USER);
  // All users must be able to pass its parents, whatever the umask of the person at the keyboard.
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
 * Why a long-running process of root must not use the state directory at `path`: it does several things at a time, so it
 * cannot act as the directory's owner. Undefined if root owns the directory, or if this process is not root.
 */
export async function objectionToRoot(path: string): Promise<string | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  try {
    const uid = controllerOf(path, await tracePath(absolutePath(path)));
    return uid === 0
      ? undefined
      : `\`${path}\` is the state directory of user ${uid}, and this is root, whom that user can mislead there: run the daemon as that user, as secgroupd.service does`;
  } catch (error) {
    if (!(error instanceof StateDirectoryError)) throw error;
    return error.message;
  }
}

/** The user who controls where a path leads: the first other than root who owns a directory that it passes, or its target. */
function controllerOf(path: string, { steps, target }: PathTrace): number {
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

/** Whether the sticky bit of a world-writable directory protects an entry from all but its owner. */
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
 * Only the effective ids change, so that root can return. They apply to all threads (setresuid(2) by glibc's and musl's
 * setxid), libuv's included, and decide on file access; capabilities are not effective in the meantime.
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
 * Runs a step of work in the state directory at `path`. If access to a file there is denied, throws a StateDirectoryError
 * that says who must own what; otherwise throws what the step throws.
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
