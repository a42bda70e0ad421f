import type { Report } from '#core/diagnostics/report.ts';
import { addressEntries, type EntriesByFamily, entriesOfBags } from '#core/model/net/address-entries.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { changeBags } from '#core/model/net/interval-bag.ts';
import type { AddressGroupName } from '#core/model/policy/names.ts';
import type { AddressGroup } from '#core/model/policy/policy.ts';
import type { UnreadableFile } from '#core/model/policy/policy-reader.ts';
import type { PolicyDocument } from '#core/read/1-parse/parse-document.ts';
import type { AddressGroupInput } from '#core/read/1-parse/policy-schema.ts';
import { parseInterval } from './address-text.ts';
import type { ListContent } from './list-file.ts';
import { type Entry, keySpanAt, spanAt } from './merge-documents.ts';
import { reportHostBits } from './read-rule.ts';

/** A list file that was read, or why it could not be. */
export type ListFile = { readonly kind: 'read'; readonly content: ListContent } | UnreadableFile;

/** The list files a policy names, by {@link listFileKey}. */
export type ListFiles = ReadonlyMap<string, ListFile>;

/** A list file as one document names it; a relative name is relative to that document. */
export interface ListReference {
  readonly document: string;
  readonly file: string;
}

/** The key of a reference in {@link ListFiles}. */
export function listFileKey({ document, file }: ListReference): string {
  return `${document}\0${file}`;
}

/** The list files that `documents` name, to be read before analysis. */
export function listReferences(documents: readonly PolicyDocument[]): ListReference[] {
  return documents.flatMap((document) =>
    Object.values(document.input.addressGroups ?? {}).flatMap(({ file }) =>
      file === undefined ? [] : [{ document: document.source.file, file }],
    ),
  );
}

/** Reads an address group, inline entries and list file together, into disjoint entries. */
export function readAddressGroup(
  name: AddressGroupName,
  entry: Entry<AddressGroupInput>,
  lists: ListFiles,
  report: Report,
): AddressGroup {
  const intervals: Interval[] = [];
  (entry.input.addresses ?? []).forEach((text, index) => {
    const parsed = parseInterval(text);
    const span = () => spanAt(entry, 'addresses', index);
    if (parsed.kind === 'problem') {
      report({ code: 'bad-address', span: span(), message: parsed.message, help: parsed.help });
      return;
    }
    if (parsed.normalised !== undefined) reportHostBits({ text, normalised: parsed.normalised, span: span(), report });
    intervals.push(parsed.interval);
  });
  const { file } = entry.input;
  if (file !== undefined) {
    const list = lists.get(listFileKey({ document: entry.document.source.file, file }));
    if (list === undefined) throw new Error(`the list file ${file} was not handed to the analysis`);
    if (list.kind === 'unreadable') {
      report({ code: 'list-file-unreadable', span: spanAt(entry, 'file'), message: list.message, help: list.help });
    } else {
      for (const diagnostic of list.content.diagnostics) report(diagnostic);
      const entries = withInline(list.content, intervals);
      return { name, entries, listFile: spanAt(entry, 'file'), span: keySpanAt(entry) };
    }
  }
  return { name, entries: addressEntries(intervals), span: keySpanAt(entry) };
}

function withInline({ bags, entries }: ListContent, inline: readonly Interval[]): EntriesByFamily {
  return inline.length === 0 ? entries : entriesOfBags(changeBags(bags, { removed: [], added: inline }));
}
