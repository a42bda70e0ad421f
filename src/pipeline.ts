import { type PolicyDocument, parseDocument } from './1-parse/parse-document.ts';
import { analyze } from './2-analyze/analyze.ts';
import { findInstance, resolveHost } from './2-analyze/host-policy.ts';
import { type ListFiles, listFileKey, listReferences } from './2-analyze/read-address-group.ts';
import { reportTo } from './diagnostics/report.ts';
import { compile } from './3-compile/compile.ts';
import { renderChange, type RenderedChange } from './4-render/render-change.ts';
import { didYouMean } from './diagnostics/did-you-mean.ts';
import type { Diagnostic } from './diagnostics/diagnostic.ts';
import type { HostPolicy, HostState } from './model/host.ts';
import type { Before } from './model/in-force.ts';
import type { Policy } from './model/policy.ts';
import type { FileText, PolicyReader } from './model/policy-reader.ts';

/** A policy as read from its files. */
export interface LoadedPolicy {
  /** Undefined where a diagnostic is an error. */
  readonly policy: Policy | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** The text of every file that was read, by the name diagnostics use. */
  readonly sources: ReadonlyMap<string, string>;
  /** Every file the policy consists of, the unreadable ones included. */
  readonly files: readonly string[];
}

/** Reads, parses and analyzes a policy: all that can be known of it without knowing the host. */
export async function loadPolicy(reader: PolicyReader): Promise<LoadedPolicy> {
  const diagnostics: Diagnostic[] = [];
  const report = reportTo(diagnostics);
  const texts = [await reader.readPolicy(), ...(await reader.readDropIns())];
  const documents: PolicyDocument[] = [];
  texts.forEach((text, index) => {
    if (text.kind === 'unreadable') {
      report({ code: 'unreadable-file', span: beginningOf(text.file), message: text.message, help: text.help });
      return;
    }
    const parsed = parseDocument(text, index === 0 ? 'main' : 'drop-in');
    diagnostics.push(...parsed.diagnostics);
    const document = parsed.document ?? parsed.remains;
    if (document !== undefined) documents.push(document);
  });
  const { lists, files: listFiles } = await readLists(documents, reader);
  const all = [...texts, ...listFiles];
  const sources = new Map(all.flatMap((text) => (text.kind === 'text' ? [[text.file, text.text] as const] : [])));
  const files = [...new Set(all.map(({ file }) => file))];
  // Without one of its documents, the analysis of the others would find names missing that are not.
  if (documents.length < texts.length)
    return { policy: undefined, diagnostics: inReadingOrder(diagnostics, files), sources, files };
  const analysis = analyze(documents, lists);
  // INVARIANT: what is left of a document with mistakes is looked at for more of them, and never becomes a policy.
  const sound = !diagnostics.some(({ severity }) => severity === 'error');
  return {
    policy: sound ? analysis.policy : undefined,
    diagnostics: inReadingOrder([...diagnostics, ...analysis.diagnostics], files),
    sources,
    files,
  };
}

/** Diagnostics in the order in which a person reads the files, from top to bottom. */
function inReadingOrder(diagnostics: readonly Diagnostic[], files: readonly string[]): readonly Diagnostic[] {
  const rank = new Map(files.map((file, index) => [file, index]));
  const fileOf = ({ span }: Diagnostic): number => rank.get(span.file) ?? files.length;
  return diagnostics.toSorted(
    (a, b) => fileOf(a) - fileOf(b) || a.span.line - b.span.line || a.span.column - b.span.column,
  );
}

async function readLists(
  documents: readonly PolicyDocument[],
  reader: PolicyReader,
): Promise<{ lists: ListFiles; files: FileText[] }> {
  const read = await Promise.all(
    listReferences(documents).map(async (reference) => ({
      reference,
      text: await reader.readList(reference.document, reference.file),
    })),
  );
  return {
    lists: new Map(read.map(({ reference, text }) => [listFileKey(reference), text])),
    files: read.map(({ text }) => text),
  };
}

function beginningOf(file: string): Diagnostic['span'] {
  return { file, line: 1, column: 1, endLine: 1, endColumn: 1 };
}

/** The policy as a host sees it, or why the host is not in it. */
export type Located =
  | { readonly kind: 'found'; readonly hostPolicy: HostPolicy }
  | { readonly kind: 'absent'; readonly message: string; readonly help: string };

/** Finds the host in the policy, as the instance `named` or by what the host is called, and resolves the policy for it. */
export function locateHost(policy: Policy, host: HostState, named: string | undefined): Located {
  const names = [...policy.instances.keys()].toSorted();
  const instance = named === undefined ? findInstance(policy, host) : names.find((name) => name === named);
  if (instance !== undefined) return { kind: 'found', hostPolicy: resolveHost(policy, host, instance) };
  if (named !== undefined) {
    const near = didYouMean(named, names);
    const help = near === undefined ? `its instances are: ${names.join(', ') || 'none'}` : `did you mean \`${near}\`?`;
    return { kind: 'absent', message: `the policy has no instance \`${named}\``, help };
  }
  return {
    kind: 'absent',
    message: `no instance of the policy is this host (host name \`${host.hostname}\`, machine id \`${host.machineId}\`)`,
    help: 'name an instance like the host, give one its `hostname` or `machineId`, add an instance `"*"`, or say --instance NAME',
  };
}

/** Compiles a policy for its host and plans the change from what is there now. `digest` identifies a text. */
export function planChange(hostPolicy: HostPolicy, before: Before, digest: (text: string) => string): RenderedChange {
  return renderChange(compile(hostPolicy), before, digest);
}
