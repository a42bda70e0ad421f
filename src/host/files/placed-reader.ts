import { type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import type { FileText, PolicyReader } from '#core/model/policy/policy-reader.ts';
import { isDropInName } from './drop-ins.ts';
import { readTrustedFile } from './policy-files.ts';
import { createPolicyReader, MAX_POLICY_BYTES, unreadable } from './policy-reader.ts';
import { readFifo, readReadable } from './policy-stream.ts';

/** A file that a person asks about, and the path to read it as. */
export interface Placement {
  /** A regular file, a FIFO, or `-` for standard input. */
  readonly file: string;
  /**
   * The path to read the file as: its lists and drop-ins are those beside this path. By default it is the file's own path;
   * a stream has none, so it has no drop-ins, and its lists are found from the working directory.
   */
  readonly at?: string | undefined;
  /** Whether lists beside the file itself come before those beside the path. */
  readonly ownListsFirst?: boolean | undefined;
}

/** A reader that knows under which paths its files are read. */
export interface PlacedReader extends PolicyReader {
  /** The paths of files that are read as if they were elsewhere, by the names that they were read under. */
  readonly standing: ReadonlyMap<string, string>;
}

/** The names of standard input. */
const STANDARD_INPUT: ReadonlySet<string> = new Set(['-', '/dev/stdin', '/dev/fd/0', '/proc/self/fd/0']);

const LIMITS = { maxBytes: MAX_POLICY_BYTES, maxSeconds: 60, maxWriterSeconds: 10 } as const;

/** Whether this name is standard input. */
export function isStandardInput(file: string): boolean {
  return STANDARD_INPUT.has(file);
}

/** Whether a file can be read only once: standard input, or a FIFO. */
export function isStream(file: string): boolean {
  return isStandardInput(file) || isFifo(file);
}

/** The name of a file in messages. */
export function shownName(file: string): string {
  return file === '-' ? '<stdin>' : file;
}

/**
 * Reads a policy once for a person who asks about it, without ownership checks, also from a stream and as if it were at
 * another path. A path in the drop-in directory of a policy means that policy with this drop-in.
 * INVARIANT: the daemon never reads with this, but with `createPolicyReader`, which waits for no stream.
 */
export function createPlacedReader({ file, at, ownListsFirst = false }: Placement): PlacedReader {
  const isStreamed = isStream(file);
  if (at === undefined && !isStreamed) return { ...createPolicyReader(file, 'any'), standing: new Map() };
  const name = shownName(file);
  const path = at === undefined ? join(process.cwd(), 'stream') : normalize(at);
  const main = policyOfDropIn(path);
  const standing = new Map([[name, path]]);
  const there = createPolicyReader(main ?? path, 'any');
  const readSubject = async (): Promise<FileText> => {
    try {
      return { kind: 'text', file: name, text: await readText(file) };
    } catch (error) {
      return unreadable(name, error);
    }
  };
  return {
    standing,
    readPolicy: () => (main === undefined ? readSubject() : there.readPolicy()),
    async readDropIns() {
      if (at === undefined) return { read: [], passedOver: [] };
      const found = await there.readDropIns();
      if (main === undefined) return found;
      const others = found.read.filter((dropIn) => dropIn.file !== path);
      const after = others.findIndex((dropIn) => Buffer.compare(bytesOf(dropIn.file), bytesOf(path)) > 0);
      return { ...found, read: others.toSpliced(after < 0 ? others.length : after, 0, await readSubject()) };
    },
    async readList(document, list) {
      if (document !== name) return there.readList(document, list);
      const own = join(dirname(file), list);
      const hasOwn = ownListsFirst && !isStreamed && !isAbsolute(list) && (await isThere(own));
      if (hasOwn) standing.set(own, join(dirname(path), list));
      return there.readList(hasOwn ? file : path, list);
    },
  };
}

/** The policy that a path in a drop-in directory belongs to; undefined if the path is in none. */
function policyOfDropIn(path: string): string | undefined {
  const directory = dirname(path);
  if (!directory.endsWith('.d') || !isDropInName(basename(path))) return undefined;
  const stem = directory.slice(0, -'.d'.length);
  return ['.yaml', '.yml', '.json', ''].map((ending) => `${stem}${ending}`).find(isRegular);
}

function bytesOf(path: string): Buffer {
  return Buffer.from(basename(path));
}

async function readText(file: string): Promise<string> {
  if (isStandardInput(file)) return readReadable(process.stdin, shownName(file), LIMITS);
  if (isFifo(file)) return readFifo(file, LIMITS);
  return (await readTrustedFile(file, { maxBytes: MAX_POLICY_BYTES, ownership: 'any' })).text;
}

function isFifo(path: string): boolean {
  return lookAt(path)?.isFIFO() === true;
}

function isRegular(path: string): boolean {
  return lookAt(path)?.isFile() === true;
}

/** Undefined if stat fails: reading the file then says why. */
function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
