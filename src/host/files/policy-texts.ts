import { createHash } from 'node:crypto';
import { dirname, isAbsolute, join, relative } from 'node:path';
import type { FileText, PolicyReader } from '#core/model/policy/policy-reader.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';

/** The texts of the files of a policy, and the instance that it is in force for. */
export function policyTexts(
  { documents, sources }: { readonly documents: readonly string[]; readonly sources: ReadonlyMap<string, string> },
  instance: string,
): PolicyTexts {
  return { instance, documents, texts: Object.fromEntries(sources) };
}

/**
 * The texts with the names that `standing` gives to files; undefined if two files with different texts would have one
 * name.
 */
export function renamedTexts(
  { instance, documents, texts }: PolicyTexts,
  standing: ReadonlyMap<string, string>,
): PolicyTexts | undefined {
  const nameOf = (file: string): string => standing.get(file) ?? file;
  const renamed = new Map<string, string>();
  for (const [file, text] of Object.entries(texts)) {
    if ((renamed.get(nameOf(file)) ?? text) !== text) return undefined;
    renamed.set(nameOf(file), text);
  }
  return { instance, documents: documents.map(nameOf), texts: Object.fromEntries(renamed) };
}

/** Reads a policy from its texts. */
export function readerOfTexts({ documents, texts }: Pick<PolicyTexts, 'documents' | 'texts'>): PolicyReader {
  const read = async (file: string): Promise<FileText> => {
    const text = texts[file];
    return text === undefined
      ? {
          kind: 'unreadable',
          file,
          message: `\`${file}\` is not among the files in force`,
          help: undefined,
          isUntrusted: false,
        }
      : { kind: 'text', file, text };
  };
  const [main = '', ...dropIns] = documents;
  return {
    readPolicy: () => read(main),
    readDropIns: async () => ({ read: await Promise.all(dropIns.map(read)), passedOver: [] }),
    readList: (document, name) => read(isAbsolute(name) ? name : join(dirname(document), name)),
  };
}

/** Identifies what the files say, whatever the name and place of the policy file. */
export function identityOfTexts(texts: Pick<PolicyTexts, 'documents' | 'texts'>): string {
  const hash = createHash('sha256');
  for (const [name, text] of filesBeside(texts)) hash.update(`${name}\0${text.length}\0`).update(text);
  return hash.digest('hex').slice(0, 32);
}

/** The texts by the files' names relative to the policy file, in their order; the policy file's own name is empty. */
export function filesBeside({
  documents,
  texts,
}: Pick<PolicyTexts, 'documents' | 'texts'>): ReadonlyMap<string, string> {
  const [main = ''] = documents;
  const lists = Object.keys(texts).filter((file) => !documents.includes(file));
  return new Map(
    [...documents, ...lists.toSorted()].map((file) => [
      file === main ? '' : relative(dirname(main), file),
      texts[file] ?? '',
    ]),
  );
}
