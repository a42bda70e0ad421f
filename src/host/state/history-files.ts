import { lstat, readdir } from 'node:fs/promises';
import { z } from 'zod';
import { isOwnDirectory } from '#host/files/own-file.ts';

/** The name of the copy of a text: its SHA-256. */
export const DIGEST = /^[0-9a-f]{64}$/;

/** A copy whose writing a power failure or the end of the process interrupted; see write-file.ts. */
export const UNFINISHED = /^\.secgroupd-[0-9a-f]{16}\.tmp$/;

/** The size limit of a version's file, in bytes: that of a policy of thousands of files is smaller. */
export const MAX_VERSION_FILE_BYTES = 16 * 1024 * 1024;

/** The file of a version. */
export const VERSION = z.object({
  number: z.int().positive(),
  time: z.string(),
  origin: z.enum(['file', 'apply', 'try', 'rollback']),
  of: z.int().positive().nullable(),
  instance: z.string(),
  documents: z.array(z.string()),
  identity: z.string(),
  /** The digest of each file's text, which is the name of its copy. */
  texts: z.record(z.string(), z.string().regex(DIGEST)),
});

/** The file that names the policy by which live flows were last examined. */
export const JUDGED = VERSION.pick({ instance: true, documents: true, identity: true, texts: true }).extend({
  /** The newest version then; 0 if there was none. */
  version: z.int().nonnegative(),
});

/** The content of that file. */
export type JudgedFile = z.infer<typeof JUDGED>;

/** The content of a version's file. */
export type VersionFile = z.infer<typeof VERSION>;

/** Whether a version has the same documents as these texts; lists may differ. */
export function haveSameDocuments(
  { documents, texts }: VersionFile,
  digests: readonly (readonly [string, string])[],
): boolean {
  return documents.every((file) => digests.some(([name, digest]) => name === file && digest === texts[file]));
}

/** The name of a version's file. */
export function fileName(number: number): string {
  return `${String(number).padStart(8, '0')}.json`;
}

/** The names in a directory of the history; none if it does not exist. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  return (await isOwnDirectory(directory)) ? readdir(directory) : [];
}

/** Whether a regular file exists. */
export async function isThere(path: string): Promise<boolean> {
  return (await sizeOf(path)) !== undefined;
}

/** The size of a regular file, in bytes; undefined if there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? stats.size : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
