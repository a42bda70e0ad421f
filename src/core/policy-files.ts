import type { FileText, PassedOverFile, PolicyReader } from '#core/model/policy/policy-reader.ts';
import { type DocumentKind, type ParsedDocument, parseDocument } from '#core/read/1-parse/parse-document.ts';
import { readListFile } from '#core/read/2-analyze/list-file.ts';
import {
  type ListFile,
  type ListReference,
  listFileKey,
  listReferences,
} from '#core/read/2-analyze/read-address-group.ts';

/** The files of a policy, each parsed on its own; a file whose text stays the same stays the same object. */
export interface PolicyFiles {
  /** The policy file and then its drop-ins. */
  readonly documents: readonly DocumentFile[];
  /** The address lists that the documents refer to, by key. */
  readonly lists: ReadonlyMap<string, ListFile>;
  /** Files in the drop-in directory that are no part of the policy. */
  readonly passedOver: readonly PassedOverFile[];
}

/** A YAML file of a policy. */
export interface DocumentFile {
  readonly text: FileText;
  readonly kind: DocumentKind;
  /** Undefined if the file could not be read. */
  readonly parsed: ParsedDocument | undefined;
}

/** Reads and parses a policy's files; those whose text is as in `before` are taken from there. */
export async function readPolicyFiles(reader: PolicyReader, before: PolicyFiles | undefined): Promise<PolicyFiles> {
  const main = await reader.readPolicy();
  const dropIns = await reader.readDropIns();
  const documents = [main, ...dropIns.read].map((text, index) =>
    documentFileOf(text, index === 0 ? 'main' : 'drop-in', before),
  );
  const references = new Map<string, ListReference>(
    listReferences(documents.flatMap(documentOf)).map((reference) => [listFileKey(reference), reference]),
  );
  const lists = new Map(
    await Promise.all(
      [...references].map(async ([key, { document, file }]) => {
        const text = await reader.readList(document, file);
        return [key, listFileOf(text, before?.lists.get(key))] as const;
      }),
    ),
  );
  // A list that the policy names is read, whatever the file is called.
  const named = new Set([...lists.values()].map((list) => textOfList(list).file));
  return { documents, lists, passedOver: dropIns.passedOver.filter(({ file }) => !named.has(file)) };
}

/** Returns the document, or what is sound in it; empty if there is neither. */
export function documentOf({ parsed }: DocumentFile): NonNullable<ParsedDocument['document']>[] {
  const document = parsed?.document ?? parsed?.remains;
  return document === undefined ? [] : [document];
}

/** The text that an address list was read from. */
export function textOfList(list: ListFile): FileText {
  return list.kind === 'read' ? { kind: 'text', ...list.content.source } : list;
}

/** Whether two readings of a policy's files found the same. */
export function areSameFiles(a: PolicyFiles, b: PolicyFiles): boolean {
  return (
    a.documents.length === b.documents.length &&
    a.documents.every((document, index) => document === b.documents[index]) &&
    a.lists.size === b.lists.size &&
    [...a.lists].every(([key, list]) => list === b.lists.get(key)) &&
    a.passedOver.length === b.passedOver.length &&
    a.passedOver.every(({ file }, index) => file === b.passedOver[index]?.file)
  );
}

function documentFileOf(text: FileText, kind: DocumentKind, before: PolicyFiles | undefined): DocumentFile {
  const unchanged = before?.documents.find((document) => document.kind === kind && isSameText(document.text, text));
  return unchanged ?? { text, kind, parsed: text.kind === 'text' ? parseDocument(text, kind) : undefined };
}

function listFileOf(text: FileText, before: ListFile | undefined): ListFile {
  if (before !== undefined && isSameText(textOfList(before), text)) return before;
  if (text.kind === 'unreadable') return text;
  return { kind: 'read', content: readListFile(text, before?.kind === 'read' ? before.content : undefined) };
}

function isSameText(a: FileText, b: FileText): boolean {
  if (a.file !== b.file) return false;
  if (a.kind === 'text') return b.kind === 'text' && a.text === b.text;
  return b.kind === 'unreadable' && a.message === b.message && a.help === b.help;
}
