import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { reportTo } from '#core/diagnostics/report.ts';
import { NAMED_SECTIONS } from '#core/read/1-parse/salvage.ts';
import { analyze } from '#core/read/2-analyze/analyze.ts';
import { type LoadedPolicy, withDiagnostics } from './loaded-policy.ts';
import { documentOf, type PolicyFiles, textOfList } from './policy-files.ts';

/** Analyzes a policy's parsed files together: the policy, unless a file or the whole has an error, and all diagnostics. */
export function analyzeFiles(files: PolicyFiles): LoadedPolicy {
  const { documents: read, lists } = files;
  const documents = read.flatMap(documentOf);
  // INVARIANT: a document that is missing here has an error of its own, so the other documents alone never become a policy.
  const analysis = analyze(documents, lists, documents.length < read.length ? NAMED_SECTIONS : []);
  const texts = [...read.map(({ text }) => text), ...[...lists.values()].map(textOfList)];
  // INVARIANT: the sound part of a document with mistakes is analyzed to find more of them, and never becomes a policy.
  return withDiagnostics(
    {
      policy: analysis.policy,
      diagnostics: [],
      sources: new Map(texts.flatMap((text) => (text.kind === 'text' ? [[text.file, text.text] as const] : []))),
      documents: read.map(({ text }) => text.file),
      files: [...new Set(texts.map(({ file }) => file))],
      isUntrusted: texts.some((text) => text.kind === 'unreadable' && text.isUntrusted),
    },
    [...fileDiagnostics(files), ...read.flatMap(({ parsed }) => parsed?.diagnostics ?? []), ...analysis.diagnostics],
  );
}

/** Reports the files that could not be read, and those in the drop-in directory that are not part of the policy. */
function fileDiagnostics({ documents, passedOver }: PolicyFiles): readonly Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const report = reportTo(diagnostics);
  for (const { text } of documents) {
    if (text.kind === 'unreadable')
      report({ code: 'unreadable-file', span: beginningOf(text.file), message: text.message, help: text.help });
  }
  for (const { file, message, help } of passedOver)
    report({ code: 'file-not-read', span: beginningOf(file), message, help });
  return diagnostics;
}

function beginningOf(file: string): Diagnostic['span'] {
  return { file, line: 1, column: 1, endLine: 1, endColumn: 1 };
}
