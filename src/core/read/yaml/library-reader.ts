import type { Finding, Report } from '#core/diagnostics/report.ts';
import { checkCharacters } from './check-text.ts';
import { type MendedText, mendText, type TextEdit } from './mend-text.ts';
import { type NodeValues, nodeValues } from './node-values.ts';
import { type ParsedNodes, parseNodes } from './parse-nodes.ts';
import type { SpanAt } from './text-positions.ts';

/** After this many rounds of mending, a text that is still not well-formed is given up. */
const MAX_ROUNDS = 8;

/** A document, with or without mistakes. */
export interface LibraryYaml extends NodeValues {
  /** Undefined for a document without mistakes of YAML. */
  readonly mended: Mended | undefined;
}

/** How a text with mistakes of YAML was mended, so that the rest could be read for more mistakes. */
export interface Mended {
  /** Spans, in the text as written, between offsets into the mended one. */
  readonly spanAt: SpanAt;
  /** The lines that have such a mistake: any other finding on them is unsure. */
  readonly unsureLines: ReadonlySet<number>;
  /** Whether names may be missing that the author meant to write. */
  readonly isPartial: boolean;
}

/**
 * Reads all of YAML, at the library's pace, and reports its mistakes. Where the intent behind a mistake is clear, reads
 * the rest as if it were mended, so that no mistake hides another. Returns undefined where it is not.
 */
export function readWithLibrary(text: string, spanAt: SpanAt, report: Report): LibraryYaml | undefined {
  const unsureLines = new Set<number>();
  const reportSure: Report = (finding) => {
    if (!unsureLines.has(finding.span.line)) report(finding);
  };
  const written: MendedText = { text, spanAt };
  const characters = checkCharacters(text, spanAt, report);
  let mended = edited(written, characters, unsureLines);
  let isPartial = false;
  let hasMistakes = characters.length > 0;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const findings: Finding[] = [];
    const parsed = parseNodes(mended, (finding) => findings.push(finding));
    // In a text already mended, only a finding with a cause is sure not to come from the mending.
    const isSure = round === 0 || parsed.document !== undefined || parsed.causes.length > 0;
    if (isSure) for (const finding of findings) reportSure(finding);
    hasMistakes ||= findings.some(({ code }) => code !== 'yaml-warning');
    isPartial ||= parsed.isPartial || parsed.causes.some(({ isGuess }) => isGuess === true);
    if (parsed.document !== undefined) {
      const context = { spanAt: mended.spanAt, report: reportSure, unclear: parsed.unclear };
      const values = nodeValues(parsed.document, context);
      return { ...values, mended: hasMistakes ? { spanAt: mended.spanAt, unsureLines, isPartial } : undefined };
    }
    const edits = editsOf(parsed);
    if (edits.length === 0) return undefined;
    for (const { start, end } of parsed.causes) noteLines(mended.spanAt, { start, end }, unsureLines);
    mended = edited(mended, edits, unsureLines);
  }
  return undefined;
}

/** The edits that mend every mistake; empty if one of them cannot be mended. */
function editsOf({ causes }: ParsedNodes): readonly TextEdit[] {
  return causes.every(({ edits }) => edits !== undefined) ? causes.flatMap(({ edits = [] }) => edits) : [];
}

function edited(before: MendedText, edits: readonly TextEdit[], unsureLines: Set<number>): MendedText {
  if (edits.length === 0) return before;
  for (const edit of edits) if (edit.insert.trim() !== '') noteLines(before.spanAt, edit, unsureLines);
  return mendText(before, edits);
}

function noteLines(spanAt: SpanAt, { start, end }: { start: number; end: number }, unsureLines: Set<number>): void {
  const { line, endLine } = spanAt(start, end);
  for (let at = line; at <= endLine; at += 1) unsureLines.add(at);
}
