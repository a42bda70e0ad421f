import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { codeOf, FileError, type ReadOptions, systemError, traceTrusted } from './policy-files.ts';

/** The names in a drop-in directory, each list in byte order. */
export interface DropInNames {
  /** Names of the files that belong to the policy. */
  readonly read: readonly string[];
  /** Names that look like those of policy files, but are not read. */
  readonly passedOver: readonly string[];
}

/** Lists a drop-in directory; no names if there is no such directory. Throws a FileError. */
export async function listDropIns(directory: string, ownership: ReadOptions['ownership']): Promise<DropInNames> {
  try {
    if (ownership === 'root') await traceTrusted(directory);
    const names = (await readdir(directory)).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return { read: names.filter(isDropInName), passedOver: names.filter(isPassedOver) };
  } catch (error) {
    if (error instanceof FileError) throw error;
    if (codeOf(error) === 'ENOENT') return { read: [], passedOver: [] };
    if (codeOf(error) !== 'ENOTDIR') throw systemError(directory, error);
    throw new FileError({
      kind: 'unreadable',
      path: directory,
      message: `\`${directory}\` is not a directory`,
      hint: 'make it a directory, or take it away',
      cause: error,
    });
  }
}

/** Whether a file of this name in a drop-in directory belongs to the policy: `*.yaml`, but no hidden file. */
export function isDropInName(name: string): boolean {
  return name.endsWith('.yaml') && !name.startsWith('.');
}

/**
 * Whether a name in a drop-in directory looks like that of a policy file, but is not read. Hidden files, backups and what
 * editors and package managers leave (`a.yaml~`, `a.yaml.bak`, `a.yaml.rpmsave`, `a.yaml.dpkg-old`, `a.yaml.swp`) do not
 * count: they have such names so as not to be read.
 */
export function isPassedOver(name: string): boolean {
  return /\.(?:ya?ml|json|conf)$/i.test(name) && !name.startsWith('.') && !isDropInName(name);
}

/** The name under which a passed-over file would be read. */
export function dropInNameOf(name: string): string {
  return name.replace(/\.[^.]*$/, '.yaml');
}

/** The drop-in directory of a policy: its path with `.d` in place of `.yaml`, `.yml` or `.json`. */
export function dropInDirectory(policyPath: string): string {
  return `${stemOf(policyPath)}.d`;
}

/** A file beside a policy file whose name differs only in the ending; undefined if there is none. */
export async function namesake(policyPath: string): Promise<string | undefined> {
  const [directory, own] = [dirname(policyPath), basename(policyPath)];
  const names = new Set(await readdir(directory).catch((): string[] => []));
  const alike = ['yaml', 'yml', 'json'].map((ending) => `${stemOf(own)}.${ending}`);
  const found = alike.find((name) => name !== own && names.has(name));
  return found === undefined ? undefined : join(directory, found);
}

function stemOf(policyPath: string): string {
  return policyPath.replace(/(?<=[^/])\.(?:yaml|yml|json)$/, '');
}
