import type { Span } from '#core/model/policy/span.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { LintCode } from './lint-codes.ts';
import { printable, printableLine } from './printable.ts';
import { masked } from './quote.ts';
import { type Style, type StyledText, unstyled } from './styled-text.ts';

/** The characters of a line that a frame shows at most. */
const FRAME_WIDTH = 100;

/** The characters shown before the caret where a line is cut on the left. */
const LEAD = 40;

/** Gives the text of a file that a span names; undefined where there is none, and the frame is left out. */
export type SourceOf = (file: string) => string | undefined;

/** A diagnostic, or a finding of `sgctl lint`. */
export type Reportable = Omit<Diagnostic, 'code' | 'severity'> & {
  readonly code: Diagnostic['code'] | LintCode;
  readonly severity: Diagnostic['severity'] | 'info';
};

/** {@link styleDiagnostic} without colours. */
export function formatDiagnostic(diagnostic: Reportable, sourceOf: SourceOf): string {
  return unstyled(styleDiagnostic(diagnostic, sourceOf));
}

/**
 * A diagnostic as people read it: `file:line:col: error[code]: message`, the line with carets under the place, the help,
 * and each related place likewise as a note. Nothing in a file or a message can reach the terminal as a control sequence.
 * Ends without a line break.
 */
export function styleDiagnostic(diagnostic: Reportable, sourceOf: SourceOf): StyledText {
  const { severity, code, message, span, help, related } = diagnostic;
  return [
    `${place(span)}: `,
    { style: severity, text: `${severity}[${code}]` },
    ': ',
    { style: 'strong', text: sentence(message) },
    ...frameOf(span, severity, sourceOf),
    ...(help === undefined ? [] : ['\n', { style: 'help' as const, text: 'help' }, `: ${sentence(help)}`]),
    ...related.flatMap((one) => [
      `\n${place(one.span)}: `,
      { style: 'note' as const, text: 'note' },
      `: ${sentence(one.message)}`,
      ...frameOf(one.span, 'note', sourceOf),
    ]),
  ];
}

/** The line of a place and carets under it, each behind a line break; nothing where the file is not at hand. */
function frameOf(span: Span, style: Style, sourceOf: SourceOf): Exclude<StyledText, string> {
  const frame = caretFrame(span, sourceOf(span.file));
  if (frame === undefined) return [];
  return [
    '\n',
    { style: 'frame', text: `${frame.number} |` },
    frame.line === '' ? '\n' : ` ${frame.line}\n`,
    { style: 'frame', text: `${' '.repeat(frame.number.length)} |` },
    ` ${frame.indent}`,
    { style, text: frame.carets },
  ];
}

function sentence(text: string): string {
  return printable(text.replace(/[\t\n]/g, ' '));
}

function place({ file, line, column }: Span): string {
  return `${printableLine(file)}:${line}:${column}`;
}

interface Frame {
  readonly number: string;
  readonly line: string;
  readonly indent: string;
  readonly carets: string;
}

function caretFrame(span: Span, text: string | undefined): Frame | undefined {
  const line = text === undefined ? undefined : lineOf(text, span.line);
  if (line === undefined) return undefined;
  const characters = [...masked(line)];
  const start = Math.min(span.column - 1, characters.length);
  const end = span.endLine > span.line ? characters.length : Math.min(span.endColumn - 1, characters.length);
  const { from, to } = window(characters.length, start);
  const shown = characters.slice(from, to).join('');
  const before = from > 0 ? '…' : '';
  return {
    number: String(span.line),
    line: `${before}${shown}${to < characters.length ? '…' : ''}`.trimEnd(),
    indent: ' '.repeat(before.length + start - from),
    carets: '^'.repeat(Math.max(1, Math.min(end, to) - start)),
  };
}

/** Which characters of a line of `length` to show so that the one at `start` is among them. */
function window(length: number, start: number): { readonly from: number; readonly to: number } {
  if (length <= FRAME_WIDTH) return { from: 0, to: length };
  const from = Math.max(0, Math.min(start - LEAD, length - FRAME_WIDTH));
  return { from, to: from + FRAME_WIDTH };
}

/** The line of that number, from 1, without its end; a byte-order mark at the start of a text is no character of it. */
function lineOf(text: string, number: number): string | undefined {
  const start = startsOf(text)[number - 1];
  if (start === undefined) return undefined;
  const end = text.indexOf('\n', start);
  return (end < 0 ? text.slice(start) : text.slice(start, end)).replace(/\r$/, '').trimEnd();
}

let indexed: { readonly text: string; readonly starts: readonly number[] } | undefined;

/** Where lines begin. Of the text that was asked for last it is known: many diagnostics are about one file. */
function startsOf(text: string): readonly number[] {
  if (indexed?.text === text) return indexed.starts;
  const starts = [text.startsWith('\u{feff}') ? 1 : 0];
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) starts.push(end + 1);
  indexed = { text, starts };
  return starts;
}
