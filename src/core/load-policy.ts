import { type DocumentKind, type ParsedDocument, parseDocument } from '#core/read/1-parse/parse-document.ts';
import { NAMED_SECTIONS } from '#core/read/1-parse/salvage.ts';
import { analyze } from '#core/read/2-analyze/analyze.ts';
import { readListFile } from '#core/read/2-analyze/list-file.ts';
import {
  type ListFile,
  listFileKey,
  type ListReference,
  listReferences,
} from '#core/read/2-analyze/read-address-group.ts';
import { checkAssertions } from '#core/meaning/assert/check-assertions.ts';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { firstOf } from '#core/diagnostics/first-of.ts';
import { reportTo } from '#core/diagnostics/report.ts';
import { ENDLESS, type Patience } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { FileText, PassedOverFile, PolicyReader } from '#core/model/policy/policy-reader.ts';

/** A policy as read from its files. */
export interface LoadedPolicy {
  /** Undefined where a diagnostic is an error. */
  readonly policy: Policy | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** The text of every file that was read, by the name diagnostics use. */
  readonly sources: ReadonlyMap<string, string>;
  /** The names of the policy file and then of its drop-ins. */
  readonly documents: readonly string[];
  /** Every file the policy consists of, the unreadable ones included. */
  readonly files: readonly string[];
  /** Whether others than root could have written one of them. */
  readonly isUntrusted: boolean;
}

/**
 * Reads, parses and analyzes a policy, and proves its assertions while `patience` lasts: all that can be known of it
 * without knowing the host.
 */
export async function loadPolicy(reader: PolicyReader, patience: Patience = ENDLESS): Promise<LoadedPolicy> {
  const loaded = await createPolicyLoader(reader)();
  return withProof(loaded, proofOf(loaded, patience));
}

/** What the assertions of a policy that was loaded without a proof of them bring to light. */
export function proofOf({ policy }: LoadedPolicy, patience: Patience): readonly Diagnostic[] {
  return policy === undefined ? [] : checkAssertions(policy, patience);
}

/** A policy that was loaded without a proof of its assertions, and what the proof says. */
export function withProof(loaded: LoadedPolicy, proof: readonly Diagnostic[]): LoadedPolicy {
  if (proof.length === 0) return loaded;
  const { files, diagnostics } = loaded;
  return {
    ...loaded,
    policy: isSound(proof) ? loaded.policy : undefined,
    diagnostics: firstOf(inReadingOrder([...diagnostics, ...proof], files)),
  };
}

/**
 * Loads a policy again and again, without a proof of its assertions: only what has changed is parsed, and while nothing
 * has, the same object comes back. `pause` is called between steps that can take long, for others to have their turn.
 */
export function createPolicyLoader(
  reader: PolicyReader,
  pause: () => Promise<void> = () => Promise.resolve(),
): () => Promise<LoadedPolicy> {
  let last: { readonly files: PolicyFiles; readonly loaded: LoadedPolicy } | undefined;
  return async () => {
    const files = await readFiles(reader, last?.files);
    if (last === undefined || !areSame(files, last.files)) {
      await pause();
      last = { files, loaded: understand(files) };
      await pause();
    }
    return last.loaded;
  };
}

/** The files of a policy, each understood by itself; while a file's text is the same, so is the object that stands for it. */
interface PolicyFiles {
  readonly documents: readonly DocumentFile[];
  readonly lists: ReadonlyMap<string, ListFile>;
  readonly passedOver: readonly PassedOverFile[];
}

interface DocumentFile {
  readonly text: FileText;
  readonly kind: DocumentKind;
  /** Undefined where it could not be read. */
  readonly parsed: ParsedDocument | undefined;
}

async function readFiles(reader: PolicyReader, before: PolicyFiles | undefined): Promise<PolicyFiles> {
  const main = await reader.readPolicy();
  const dropIns = await reader.readDropIns();
  const texts = [main, ...dropIns.read];
  const documents = texts.map((text, index): DocumentFile => {
    const kind = index === 0 ? 'main' : 'drop-in';
    const known = before?.documents.find((one) => one.kind === kind && isSameText(one.text, text));
    return known ?? { text, kind, parsed: text.kind === 'text' ? parseDocument(text, kind) : undefined };
  });
  const references = new Map<string, ListReference>(
    listReferences(documents.flatMap(documentOf)).map((reference) => [listFileKey(reference), reference]),
  );
  const lists = [...references].map(async ([key, { document, file }]) => {
    const text = await reader.readList(document, file);
    return [key, listOf(text, before?.lists.get(key))] as const;
  });
  const read = new Map(await Promise.all(lists));
  const files = new Set([...read.values()].map((list) => textOf(list).file));
  // What the policy names as a list is read, whatever it is called.
  return { documents, lists: read, passedOver: dropIns.passedOver.filter(({ file }) => !files.has(file)) };
}

/** What there is of a document: all of it, or what is sound in it. */
function documentOf({ parsed }: DocumentFile): NonNullable<ParsedDocument['document']>[] {
  const document = parsed?.document ?? parsed?.remains;
  return document === undefined ? [] : [document];
}

function listOf(text: FileText, before: ListFile | undefined): ListFile {
  if (before !== undefined && isSameText(textOf(before), text)) return before;
  if (text.kind === 'unreadable') return text;
  return { kind: 'read', content: readListFile(text, before?.kind === 'read' ? before.content : undefined) };
}

function textOf(list: ListFile): FileText {
  return list.kind === 'read' ? { kind: 'text', ...list.content.source } : list;
}

function isSameText(one: FileText, other: FileText): boolean {
  if (one.file !== other.file) return false;
  if (one.kind === 'text') return other.kind === 'text' && one.text === other.text;
  return other.kind === 'unreadable' && one.message === other.message && one.help === other.help;
}

function areSame(one: PolicyFiles, other: PolicyFiles): boolean {
  return (
    one.documents.length === other.documents.length &&
    one.documents.every((document, index) => document === other.documents[index]) &&
    one.lists.size === other.lists.size &&
    [...one.lists].every(([key, list]) => list === other.lists.get(key)) &&
    one.passedOver.length === other.passedOver.length &&
    one.passedOver.every(({ file }, index) => file === other.passedOver[index]?.file)
  );
}

function understand({ documents: read, lists, passedOver }: PolicyFiles): LoadedPolicy {
  const ofFiles: Diagnostic[] = [];
  const report = reportTo(ofFiles);
  for (const { text } of read) {
    if (text.kind === 'unreadable')
      report({ code: 'unreadable-file', span: beginningOf(text.file), message: text.message, help: text.help });
  }
  for (const { file, message, help } of passedOver)
    report({ code: 'file-not-read', span: beginningOf(file), message, help });
  const ofDocuments = [...ofFiles, ...read.flatMap(({ parsed }) => parsed?.diagnostics ?? [])];
  const all = [...read.map(({ text }) => text), ...[...lists.values()].map(textOf)];
  const sources = new Map(all.flatMap((text) => (text.kind === 'text' ? [[text.file, text.text] as const] : [])));
  const files = [...new Set(all.map(({ file }) => file))];
  const isUntrusted = all.some((text) => text.kind === 'unreadable' && text.isUntrusted);
  const texts = { sources, documents: read.map(({ text }) => text.file), files, isUntrusted };
  const documents = read.flatMap(documentOf);
  // INVARIANT: a document that is missing here has an error of its own, so that what others say never becomes a policy.
  const analysis = analyze(documents, lists, documents.length < read.length ? NAMED_SECTIONS : []);
  const ofAnalysis = [...ofDocuments, ...analysis.diagnostics];
  // INVARIANT: what is left of a document with mistakes is looked at for more of them, and never becomes a policy.
  const policy = isSound(ofAnalysis) ? analysis.policy : undefined;
  return { policy, diagnostics: firstOf(inReadingOrder(ofAnalysis, files)), ...texts };
}

function isSound(diagnostics: readonly Diagnostic[]): boolean {
  return !diagnostics.some(({ severity }) => severity === 'error');
}

/** Diagnostics in the order in which a person reads the files, from top to bottom. */
function inReadingOrder(diagnostics: readonly Diagnostic[], files: readonly string[]): readonly Diagnostic[] {
  const rank = new Map(files.map((file, index) => [file, index]));
  const fileOf = ({ span }: Diagnostic): number => rank.get(span.file) ?? files.length;
  return diagnostics.toSorted(
    (a, b) => fileOf(a) - fileOf(b) || a.span.line - b.span.line || a.span.column - b.span.column,
  );
}

function beginningOf(file: string): Diagnostic['span'] {
  return { file, line: 1, column: 1, endLine: 1, endColumn: 1 };
}
