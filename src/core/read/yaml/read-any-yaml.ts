import type { Finding, Report } from '#core/diagnostics/report.ts';
import { checkCharacters } from './check-text.ts';
import { type MendedText, mendText, type TextEdit } from './mend-text.ts';
import { parseYaml, type ParsedYaml } from './parse-yaml.ts';
import { type PlainDocument, plainValue } from './plain-value.ts';
import type { SpanAt } from './text-positions.ts';

/** A text that is still not well-formed after so many rounds of mending is given up. */
const MAX_ROUNDS = 8;

/**
 * Reads all of YAML, at the library's pace, and reports what is wrong with it. Where it can be told what a mistake was
 * meant to be, the rest is read as if it were mended, so that no mistake hides another; `mended` says so. Undefined
 * where nothing can be told.
 */
export function readAnyYaml(text: string, spanAt: SpanAt, report: Report): PlainDocument | undefined {
  const unsure = new Set<number>();
  const beside: Report = (finding) => {
    if (!unsure.has(finding.span.line)) report(finding);
  };
  const written: MendedText = { text, spanAt };
  const characters = checkCharacters(text, spanAt, report);
  let mended = edited(written, characters, unsure);
  let isPartial = false;
  let hasMistakes = characters.length > 0;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const findings: Finding[] = [];
    const parsed = parseYaml(mended, (finding) => findings.push(finding));
    // Of a text that was mended, only what has a cause is sure not to come from the mending.
    const isSure = round === 0 || parsed.document !== undefined || parsed.causes.length > 0;
    if (isSure) for (const finding of findings) beside(finding);
    hasMistakes ||= findings.some(({ code }) => code !== 'yaml-warning');
    isPartial ||= parsed.isPartial || parsed.causes.some(({ isGuess }) => isGuess === true);
    if (parsed.document !== undefined) {
      const context = { spanAt: mended.spanAt, report: beside, unclear: parsed.unclear };
      const plain = plainValue(parsed.document, context);
      return hasMistakes ? { ...plain, mended: { spanAt: mended.spanAt, unsure, isPartial } } : plain;
    }
    const edits = editsOf(parsed);
    if (edits.length === 0) return undefined;
    for (const { start, end } of parsed.causes) noteLines(mended.spanAt, { start, end }, unsure);
    mended = edited(mended, edits, unsure);
  }
  return undefined;
}

/** What mends all that is wrong; empty where one mistake cannot be mended. */
function editsOf({ causes }: ParsedYaml): readonly TextEdit[] {
  return causes.every(({ edits }) => edits !== undefined) ? causes.flatMap(({ edits = [] }) => edits) : [];
}

function edited(before: MendedText, edits: readonly TextEdit[], unsure: Set<number>): MendedText {
  if (edits.length === 0) return before;
  for (const edit of edits) if (edit.insert.trim() !== '') noteLines(before.spanAt, edit, unsure);
  return mendText(before, edits);
}

function noteLines(spanAt: SpanAt, { start, end }: { start: number; end: number }, unsure: Set<number>): void {
  const { line, endLine } = spanAt(start, end);
  for (let at = line; at <= endLine; at += 1) unsure.add(at);
}
