import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { type Report, reportTo } from '#core/diagnostics/report.ts';
import type { SourceFile } from '#core/diagnostics/source-file.ts';
import { type EntriesByFamily, entriesOfBags } from '#core/model/net/address-entries.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { changeBags, type IntervalBags, intervalBags } from '#core/model/net/interval-bag.ts';
import { parseInterval } from './address-text.ts';
import { changedLines } from './changed-lines.ts';
import { reportHostBits } from './read-rule.ts';

/** The content of a list file. */
export interface ListContent {
  readonly source: SourceFile;
  /** The entries of all lines, with repeats. */
  readonly bags: IntervalBags;
  readonly entries: EntriesByFamily;
  readonly diagnostics: readonly Diagnostic[];
}

/** A list file with more errors is the wrong file rather than one with typing errors. */
const MAX_ERRORS = 100;

/**
 * Reads a list file: one address, CIDR or range a line, `#` or `;` begins a comment (`;` is what
 * Spamhaus DROP lists use). Reports each bad line at its place. With
 * `before`, another text of the same file, reads only the lines that differ and keeps the objects of the others.
 */
export function readListFile(source: SourceFile, before?: ListContent): ListContent {
  return (before === undefined ? undefined : readChange(source, before)) ?? readWhole(source);
}

function readWhole(source: SourceFile): ListContent {
  const diagnostics: Diagnostic[] = [];
  const bags = intervalBags(parseLines(source, reportTo(diagnostics)));
  return { source, bags, entries: entriesOfBags(bags), diagnostics };
}

/** Returns undefined if there is anything to report: line numbers then need a full parse. */
function readChange(source: SourceFile, before: ListContent): ListContent | undefined {
  if (before.diagnostics.length > 0) return undefined;
  const { start, beforeEnd, afterEnd } = changedLines(before.source.text, source.text);
  let hasFindings = false;
  const report = (): void => {
    hasFindings = true;
  };
  const parse = ({ file, text }: SourceFile, end: number): Interval[] =>
    parseLines({ file, text: text.slice(start, end) }, report);
  const [removed, added] = [parse(before.source, beforeEnd), parse(source, afterEnd)];
  if (hasFindings) return undefined;
  const bags = changeBags(before.bags, { removed, added });
  return { source, bags, entries: entriesOfBags(bags), diagnostics: [] };
}

function parseLines({ file, text }: SourceFile, report: Report): Interval[] {
  const intervals: Interval[] = [];
  let errors = 0;
  let lineNumber = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    start = end + 1;
    lineNumber += 1;
    const comment = line.search(/[#;]/);
    const entry = (comment < 0 ? line : line.slice(0, comment)).trim();
    if (entry === '') continue;
    const parsed = parseInterval(entry);
    if (parsed.kind === 'interval' && parsed.normalised === undefined) {
      intervals.push(parsed.interval);
      continue;
    }
    const column = line.indexOf(entry) + 1;
    const span = { file, line: lineNumber, column, endLine: lineNumber, endColumn: column + entry.length };
    if (parsed.kind === 'problem') {
      errors += 1;
      report({ code: 'bad-address', span, message: parsed.message, help: parsed.help });
      if (errors === MAX_ERRORS) return intervals;
    } else {
      if (parsed.normalised !== undefined) reportHostBits({ text: entry, normalised: parsed.normalised, span, report });
      intervals.push(parsed.interval);
    }
  }
  return intervals;
}
