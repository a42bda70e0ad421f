import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { giveToOwnerOf } from './write-file.ts';

const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Reads a text that this program wrote; undefined if there is no such file, if it is a symlink, which is never followed, or
 * anything else but a regular file, or if it has more than `maxBytes`. Throws what reading throws. Never blocks.
 */
export async function readOwnFile(path: string, maxBytes: number): Promise<string | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, READ_FLAGS);
    const stats = await handle.stat();
    return stats.isFile() && stats.size <= maxBytes ? await handle.readFile('utf8') : undefined;
  } catch (error) {
    // ELOOP: a symlink (open(2)); ENXIO: a socket.
    if (['ENOENT', 'ELOOP', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  } finally {
    await handle?.close();
  }
}

/** Reads a regular file that this program wrote, piece by piece. Throws what reading throws, also for a symlink. */
export async function* piecesOfOwnFile(path: string): AsyncIterable<string> {
  const handle = await open(path, READ_FLAGS);
  // A consumer that stops early destroys the stream, which closes the file.
  yield* handle.createReadStream({ encoding: 'utf8' }) as AsyncIterable<string>;
}

/** Creates a directory if it is missing. Throws an Error if a symlink is in its place, and what creating it throws. */
export async function makeOwnDirectory(path: string, mode: number): Promise<void> {
  const isNew = await mkdir(path, { mode }).then(
    () => true,
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      return false;
    },
  );
  const handle = await openDirectory(path);
  if (handle === undefined) return;
  try {
    if (isNew) await giveToOwnerOf(dirname(path), handle);
  } finally {
    await handle.close();
  }
}

/** Whether a directory exists. Throws an Error if a symlink, or anything else, is in its place. */
export async function isOwnDirectory(path: string): Promise<boolean> {
  const handle = await openDirectory(path);
  await handle?.close();
  return handle !== undefined;
}

async function openDirectory(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_DIRECTORY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    // A symlink with both flags is ENOTDIR (open(2)).
    if (code === 'ENOTDIR' || code === 'ELOOP')
      throw new Error(`\`${path}\` is a symlink or a file where a directory has to be: remove it`, { cause: error });
    throw error;
  }
}
