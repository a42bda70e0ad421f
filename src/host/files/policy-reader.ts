import { lstat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { FileText, PassedOverFile, PolicyReader, UnreadableFile } from '#core/model/policy/policy-reader.ts';
import { dropInDirectory, dropInNameOf, listDropIns, namesake } from './drop-ins.ts';
import { FileError, readTrustedFile, type FileText as TrustedText } from './policy-files.ts';
import type { FileToTake, Settling } from './settling.ts';

/** A policy of more text than this is a mistake or an attack; lists, which can be long, have files of their own. */
export const MAX_POLICY_BYTES = 16 * 1024 * 1024;

/** One million addresses and their comments. */
const MAX_LIST_BYTES = 64 * 1024 * 1024;

type FileKind = Pick<FileToTake, 'isOptional' | 'isList'>;

const POLICY: FileKind = { isOptional: false, isList: false };
const DROP_IN: FileKind = { isOptional: true, isList: false };
const LIST: FileKind = { isOptional: false, isList: true };

/**
 * Reads the policy at `path` from disk, and later only those of its files that have changed. `ownership` says whether to
 * refuse files that users other than root can change. With `settling`, the previous text stands in for a file that is being
 * written.
 */
export function createPolicyReader(path: string, ownership: 'root' | 'any', settling?: Settling): PolicyReader {
  // What this reading and the one before have read: files that the policy no longer names are forgotten.
  let known = new Map<string, TrustedText>();
  let before = known;
  const readNow = async (file: string, maxBytes: number): Promise<TrustedText> => {
    const text = await readTrustedFile(file, { maxBytes, ownership, known: known.get(file) ?? before.get(file) });
    known.set(file, text);
    return text;
  };
  const readIfThere = async (file: string, kind: FileKind): Promise<FileText | undefined> => {
    try {
      const read = () => readNow(file, kind.isList ? MAX_LIST_BYTES : MAX_POLICY_BYTES);
      const text = settling === undefined ? await read() : await settling.take({ file, read, ...kind });
      return text === undefined ? undefined : { kind: 'text', file, text: text.text };
    } catch (error) {
      return unreadable(file, error);
    }
  };
  const read = async (file: string, kind: FileKind): Promise<FileText> => {
    const text = await readIfThere(file, kind);
    if (text === undefined) throw new Error(`${file} was left out, which only a drop-in can be`);
    return text;
  };
  return {
    async readPolicy() {
      before = known;
      known = new Map();
      settling?.begin();
      const text = await read(path, POLICY);
      const alike = text.kind === 'text' ? undefined : await missingNamesake(path);
      if (text.kind === 'text' || alike === undefined) return text;
      return { ...text, help: `\`${basename(alike)}\` is there: rename it to \`${basename(path)}\`, or name it` };
    },
    async readDropIns() {
      const directory = dropInDirectory(path);
      try {
        const names = await listDropIns(directory, ownership);
        const texts = await Promise.all(names.read.map((name) => readIfThere(join(directory, name), DROP_IN)));
        return {
          read: texts.filter((text) => text !== undefined),
          passedOver: [
            ...(await policyAlike(path)),
            ...names.passedOver.map((name) => passedOver(join(directory, name))),
          ],
        };
      } catch (error) {
        return { read: [unreadable(directory, error)], passedOver: [] };
      }
    },
    readList: (document, name) => read(isAbsolute(name) ? name : join(dirname(document), name), LIST),
  };
}

/** Stands for a file that could not be read. Throws anything but a FileError. */
export function unreadable(file: string, error: unknown): UnreadableFile {
  if (!(error instanceof FileError)) throw error;
  return {
    kind: 'unreadable',
    file,
    message: error.message,
    help: error.hint,
    isUntrusted: error.kind === 'untrusted',
  };
}

function passedOver(file: string): PassedOverFile {
  return {
    file,
    message: `\`${basename(file)}\` is not read: drop-ins are called \`*.yaml\``,
    help: `rename it to \`${dropInNameOf(basename(file))}\` if it belongs to the policy, or move it away`,
  };
}

/** The name that a missing policy may have. */
async function missingNamesake(path: string): Promise<string | undefined> {
  return (await isThere(path)) ? undefined : namesake(path);
}

/** The `policy.yml` beside an existing `policy.yaml`: somebody may be editing the wrong file. */
async function policyAlike(path: string): Promise<readonly PassedOverFile[]> {
  const alike = (await isThere(path)) ? await namesake(path) : undefined;
  if (alike === undefined || !alike.endsWith('.yml')) return [];
  return [
    {
      file: alike,
      message: `\`${basename(alike)}\` is not read: the policy is \`${basename(path)}\``,
      help: `bring what it says into \`${basename(path)}\`, or move it away`,
    },
  ];
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
