import type { BigIntStats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileIdentity, fileSignature } from './file-signature.ts';

/** A directory: its real path, its identity, and who may change its content. */
export interface DirectoryPlace {
  readonly path: string;
  readonly identity: string;
  readonly owner: number;
  /** The permission bits, the sticky one included. */
  readonly mode: number;
}

/** One lookup of a name while following a path: the path leads elsewhere when this directory entry changes. */
export interface PathStep {
  readonly directory: DirectoryPlace;
  readonly name: string;
  /** The entry of that name; undefined if there is none. */
  readonly entry: PathEntry | undefined;
}

/** An entry of a directory and its owner; for a symlink, the symlink's own. */
export interface PathEntry {
  readonly kind: 'directory' | 'symlink' | 'file';
  readonly owner: number;
}

/** The target of a path; `file` is anything but a directory. */
export type PathTarget =
  | { readonly kind: 'absent'; readonly code: string }
  | { readonly kind: 'directory'; readonly directory: DirectoryPlace }
  | { readonly kind: 'file'; readonly identity: string; readonly signature: string };

/** The lookups of a path through directories and symlinks, and its target. */
export interface PathTrace {
  readonly steps: readonly PathStep[];
  readonly target: PathTarget;
}

// The kernel's own limit (path_resolution(7)).
const MAX_SYMLINKS = 40;
const MAX_ATTEMPTS = 3;

/**
 * Follows a path name by name, as the kernel does: from `/`, or from `start` for a path relative to it.
 * Never throws: a target that cannot be reached is `absent`, with the error's code.
 */
export async function tracePath(path: string, start?: DirectoryPlace): Promise<PathTrace> {
  for (let attempt = 1; ; attempt += 1) {
    const trace = await traceOnce(path, start);
    // EINVAL: a symlink became something else between lstat and readlink.
    const raced = trace.target.kind === 'absent' && trace.target.code === 'EINVAL';
    if (!raced || attempt === MAX_ATTEMPTS) return trace;
  }
}

async function traceOnce(path: string, start: DirectoryPlace | undefined): Promise<PathTrace> {
  const steps: PathStep[] = [];
  const pending = componentsOf(path);
  let symlinks = 0;
  try {
    let directory = start ?? (await placeOf('/'));
    for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
      if (name === '..') {
        directory = await placeOf(dirname(directory.path));
        continue;
      }
      const entry = join(directory.path, name);
      const step = { directory, name };
      const stats = await lstat(entry, { bigint: true }).catch((error: unknown) => {
        steps.push({ ...step, entry: undefined });
        throw error;
      });
      steps.push({ ...step, entry: entryOf(stats) });
      if (stats.isSymbolicLink()) {
        symlinks += 1;
        if (symlinks > MAX_SYMLINKS) return { steps, target: { kind: 'absent', code: 'ELOOP' } };
        const link = await readlink(entry);
        if (link.startsWith('/')) directory = await placeOf('/');
        pending.unshift(...componentsOf(link));
      } else if (stats.isDirectory()) {
        directory = placeWith(entry, stats);
      } else if (pending.length > 0) {
        return { steps, target: { kind: 'absent', code: 'ENOTDIR' } };
      } else {
        return { steps, target: fileTarget(stats) };
      }
    }
    return { steps, target: { kind: 'directory', directory } };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return { steps, target: { kind: 'absent', code } };
  }
}

async function placeOf(path: string): Promise<DirectoryPlace> {
  return placeWith(path, await lstat(path, { bigint: true }));
}

function placeWith(path: string, stats: BigIntStats): DirectoryPlace {
  return { path, identity: fileIdentity(stats), owner: Number(stats.uid), mode: Number(stats.mode & 0o7777n) };
}

function entryOf(stats: BigIntStats): PathEntry {
  const kind = stats.isSymbolicLink() ? 'symlink' : stats.isDirectory() ? 'directory' : 'file';
  return { kind, owner: Number(stats.uid) };
}

function fileTarget(stats: BigIntStats): PathTarget {
  return { kind: 'file', identity: fileIdentity(stats), signature: fileSignature(stats) };
}

function componentsOf(path: string): string[] {
  return path.split('/').filter((component) => component !== '' && component !== '.');
}

/** A path that begins with `/`. Unlike path.resolve, it keeps `..`, since symlinks before it are followed first. */
export function absolutePath(path: string): string {
  return path.startsWith('/') ? path : `${join(process.cwd(), '/')}${path}`;
}
