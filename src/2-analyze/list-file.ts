import type { SourceFile } from '../1-parse/source-file.ts';
import type { Interval } from '../model/interval.ts';
import { parseGroupEntry } from './address-text.ts';
import { reportHostBits } from './read-rule.ts';
import type { Report } from '../diagnostics/report.ts';

/** Beyond this many errors a list file is the wrong file rather than one with typing errors. */
const MOST_ERRORS = 100;

/** Reads a list file: one address, CIDR or range a line, `#` begins a comment. Reports each bad line at its place. */
export function parseListFile({ file, text }: SourceFile, report: Report): Interval[] {
  const intervals: Interval[] = [];
  let errors = 0;
  let lineNumber = 0;
  for (const line of text.split('\n')) {
    lineNumber += 1;
    const hash = line.indexOf('#');
    const entry = (hash < 0 ? line : line.slice(0, hash)).trim();
    if (entry === '') continue;
    const column = line.indexOf(entry) + 1;
    const span = { file, line: lineNumber, column, endLine: lineNumber, endColumn: column + entry.length };
    const parsed = parseGroupEntry(entry);
    if (parsed.kind === 'problem') {
      errors += 1;
      report({ code: 'bad-address', span, message: parsed.message, help: parsed.help });
      if (errors === MOST_ERRORS) return intervals;
      continue;
    }
    if (parsed.normalised !== undefined) reportHostBits({ text: entry, normalised: parsed.normalised, span, report });
    intervals.push(parsed.interval);
  }
  return intervals;
}
