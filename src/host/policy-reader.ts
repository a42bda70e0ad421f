import { dirname, isAbsolute, join } from 'node:path';
import type { FileText, PolicyReader } from '../model/policy-reader.ts';
import {
  dropInDirectory,
  FileError,
  type FileText as TrustedText,
  listDropIns,
  readTrustedFile,
} from './policy-files.ts';

/** A policy of more text than this is a mistake or an attack; lists, which can be long, have files of their own. */
const LONGEST_POLICY = 16 * 1024 * 1024;

/** One million addresses and their comments. */
const LONGEST_LIST = 64 * 1024 * 1024;

/**
 * Reads the policy at `path` from disk, and again only those of its files that have changed; `ownership` says whether
 * files that others than root can change are refused.
 */
export function createPolicyReader(path: string, ownership: 'root' | 'any'): PolicyReader {
  // What was read since the policy file was, and what before: files that it no longer names are forgotten.
  let known = new Map<string, TrustedText>();
  let before = known;
  const read = async (file: string, maxBytes: number): Promise<FileText> => {
    try {
      const text = await readTrustedFile(file, { maxBytes, ownership, known: known.get(file) ?? before.get(file) });
      known.set(file, text);
      return { kind: 'text', file, text: text.text };
    } catch (error) {
      return unreadable(file, error);
    }
  };
  return {
    readPolicy: () => {
      before = known;
      known = new Map();
      return read(path, LONGEST_POLICY);
    },
    async readDropIns() {
      const directory = dropInDirectory(path);
      try {
        const names = await listDropIns(directory, ownership);
        return await Promise.all(names.map((name) => read(join(directory, name), LONGEST_POLICY)));
      } catch (error) {
        return [unreadable(directory, error)];
      }
    },
    readList: (document, name) => read(isAbsolute(name) ? name : join(dirname(document), name), LONGEST_LIST),
  };
}

function unreadable(file: string, error: unknown): FileText {
  if (!(error instanceof FileError)) throw error;
  return { kind: 'unreadable', file, message: error.message, help: error.hint };
}
