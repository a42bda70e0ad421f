import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorText } from '#core/diagnostics/error-text.ts';

/** A file could not be written; the old one still exists, unless only the fsync of its directory failed. */
export class FileWriteError extends Error {
  override readonly name = 'FileWriteError';
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super(`cannot write \`${path}\`: ${errorText(cause)}`, { cause });
    this.path = path;
  }
}

/**
 * Replaces the file at `path` with one that has this content and exactly this mode, whatever the umask. Readers, and a host
 * that loses power, see the whole old file or the whole new one. Throws a FileWriteError, and leaves no temporary file.
 */
export function writeFileAtomically(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  return replaceFile({ path, data, mode, isOfDirectory: false });
}

/**
 * Replaces a file of the state directory like {@link writeFileAtomically}, with the mode of such files. The file belongs to
 * the owner of its directory, whoever writes it.
 */
export function writeStateFile(path: string, data: string): Promise<void> {
  return replaceFile({ path, data, mode: 0o640, isOfDirectory: true });
}

/** Gives a file or directory that root has just created to the owner of its parent directory. */
export async function giveToOwnerOf(directory: string, made: FileHandle): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = await stat(directory);
  if (uid !== 0) await made.chown(uid, gid);
}

interface Replacement {
  readonly path: string;
  readonly data: string | Uint8Array;
  readonly mode: number;
  readonly isOfDirectory: boolean;
}

async function replaceFile({ path, data, mode, isOfDirectory }: Replacement): Promise<void> {
  const directory = dirname(path);
  // Not made from the file's name, which could become too long.
  const temporary = join(directory, `.secgroupd-${randomBytes(8).toString('hex')}.tmp`);
  let made = false;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    made = true;
    try {
      await handle.writeFile(data);
      await handle.chmod(mode);
      // INVARIANT: by handle, not by name: the name can be another file's by now.
      if (isOfDirectory) await giveToOwnerOf(directory, handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    made = false;
    await syncDirectory(directory);
  } catch (cause) {
    if (made) await rm(temporary, { force: true }).catch(() => {});
    throw new FileWriteError(path, cause);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems cannot sync a directory and say so by EINVAL (fsync(2)); there is nothing more to do there.
    if (!(error instanceof Error && 'code' in error && error.code === 'EINVAL')) throw error;
  } finally {
    await handle.close();
  }
}
