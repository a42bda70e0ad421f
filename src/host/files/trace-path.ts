import type { BigIntStats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileIdentity, fileSignature } from './file-signature.ts';

/** A directory by its real path, which directory that was, and who may change what is in it. */
export interface DirectoryPlace {
  readonly path: string;
  readonly identity: string;
  readonly owner: number;
  /** The permission bits, the sticky one included. */
  readonly mode: number;
}

/** One name looked up on the way of a path: what the path means changes when this entry of the directory does. */
export interface PathStep {
  readonly directory: DirectoryPlace;
  readonly name: string;
  /** What stood there; undefined for nothing. */
  readonly entry: PathEntry | undefined;
}

/** An entry of a directory, and its owner: of a symlink its own, and not that of what it leads to. */
export interface PathEntry {
  readonly kind: 'directory' | 'symlink' | 'file';
  readonly owner: number;
}

/** What a path leads to; `file` is anything but a directory. */
export type PathTarget =
  | { readonly kind: 'absent'; readonly code: string }
  | { readonly kind: 'directory'; readonly directory: DirectoryPlace }
  | { readonly kind: 'file'; readonly identity: string; readonly signature: string };

/** The way of a path through directories and symlinks, and its end. */
export interface PathTrace {
  readonly steps: readonly PathStep[];
  readonly target: PathTarget;
}

// The kernel's own limit (path_resolution(7)).
const MAX_SYMLINKS = 40;
const ATTEMPTS = 3;

/**
 * Follows a path name by name, as the kernel does: from `/`, or from `start` for a path relative to it.
 * Never throws for what the path leads to: a target that cannot be reached is `absent`, with the error's code.
 */
export async function tracePath(path: string, start?: DirectoryPlace): Promise<PathTrace> {
  for (let attempt = 1; ; attempt += 1) {
    const trace = await traceOnce(path, start);
    // EINVAL: a symlink became something else between lstat and readlink.
    const raced = trace.target.kind === 'absent' && trace.target.code === 'EINVAL';
    if (!raced || attempt === ATTEMPTS) return trace;
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

/** A path from `/` on. Unlike path.resolve, leaves `..` where it is: symlinks before it are followed first. */
export function absolutePath(path: string): string {
  return path.startsWith('/') ? path : `${join(process.cwd(), '/')}${path}`;
}
