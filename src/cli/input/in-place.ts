import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import { dropInDirectory, listDropIns } from '#host/files/drop-ins.ts';
import { isStream, type Placement } from '#host/files/placed-reader.ts';
import { FileError } from '#host/files/policy-files.ts';

/**
 * Places a file at the path of the policy file: it uses the policy file's drop-ins, and its lists unless they are beside
 * the file itself. A file with drop-ins of its own is a whole policy, and is used as it is.
 */
export async function inPlaceOf(policyFile: string, file: string): Promise<Placement> {
  if (!isStream(file) && ((await isSameFile(file, policyFile)) || (await hasDropIns(file)))) return { file };
  return { file, at: resolve(policyFile), ownListsFirst: true };
}

async function hasDropIns(file: string): Promise<boolean> {
  try {
    return (await listDropIns(dropInDirectory(file), 'any')).read.length > 0;
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    // Reading the policy reports the error.
    return true;
  }
}

/** The drop-ins and lists that a policy was read with; without the policy file. */
export function filesAlong({ documents: [main], sources }: LoadedPolicy): readonly string[] {
  return [...sources.keys()].filter((file) => file !== main);
}

/** The drop-ins and lists of a policy as a message has them behind its name; empty if there are none. */
export function alongText(along: readonly string[]): string {
  return along.length === 0 ? '' : `, with ${along.join(', ')},`;
}

/** Whether two paths lead to the same file, or are the same path if there is none. */
export async function isSameFile(a: string, b: string): Promise<boolean> {
  const real = (path: string): Promise<string> => realpath(path).catch(() => resolve(path));
  return (await real(a)) === (await real(b));
}
