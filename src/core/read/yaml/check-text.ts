import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import type { SourceFile } from '#core/diagnostics/source-file.ts';
import type { TextEdit } from './mend-text.ts';
import { fileStart, type SpanAt } from './text-positions.ts';

/** In UTF-16 units. Ten thousand rules take about two million; the library reader takes about a second per million. */
const MAX_TEXT_LENGTH = 16_000_000;

/**
 * Characters that YAML 1.2 does not count as printable (section 5.1), and three that it does: a lone carriage return,
 * which only some readers take for a line break; a byte-order mark inside the text; and the replacement character, which
 * stands for bytes that were not UTF-8.
 */
const BAD_CHARACTER = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffd-\uffff]|\r(?!\n)|\p{Cs}/gu;

/**
 * Characters that make a text look different from what it is: direction marks, overrides and isolates, and invisible
 * characters. It excludes the joiners (U+200C and U+200D) of Persian, Indic scripts and emoji, variation selectors, and
 * visible format characters such as the Arabic number sign.
 */
const DECEPTIVE =
  /(?![\u200c-\u200d\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u{110bd}\u{110cd}]|\p{VS})[\p{Cf}\p{Zl}\p{Zp}\p{DI}]/u;

/** Those that change the order in which a line is displayed. */
const DIRECTION = /^[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]$/u;

const CONTROL = /[\0-\x08\x0b-\x1f\x7f-\x9f]|\p{Cs}/u;

/** Characters that no text of a policy may have, however they are written. */
export const BAD_IN_TEXT = new RegExp(`${CONTROL.source}|${DECEPTIVE.source}`, 'u');

const BAD_IN_FILE = new RegExp(`${BAD_CHARACTER.source}|${DECEPTIVE.source}`, 'gu');

/** Whether a text has a character that makes it look different from what it is. */
export function isDeceptive(text: string): boolean {
  return DECEPTIVE.test(text);
}

/** Whether a file is short enough to be read; reports if not. */
export function checkLength({ file, text }: SourceFile, report: Report): boolean {
  if (text.length <= MAX_TEXT_LENGTH) return true;
  report({
    code: 'file-too-large',
    span: fileStart(file),
    message: `the file has ${text.length} characters; at most ${MAX_TEXT_LENGTH} are allowed`,
    help: 'put long address lists into a list file: `file:` in an address group',
  });
  return false;
}

/**
 * Reports the first character of a file that YAML does not allow, and the number of all. Returns the edits that replace
 * each by something harmless.
 */
export function checkCharacters(text: string, spanAt: SpanAt, report: Report): readonly TextEdit[] {
  const edits: TextEdit[] = [];
  let count = 0;
  let first: { readonly character: string; readonly index: number } | undefined;
  for (const { 0: character, index } of text.matchAll(BAD_IN_FILE)) {
    first ??= { character, index };
    count += 1;
    edits.push({ start: index, end: index + character.length, insert: 'x' });
  }
  if (first === undefined) return [];
  const { character, index } = first;
  report({
    code: 'bad-character',
    span: spanAt(index, index + character.length),
    message: `${nameOf(character)} may not appear in a policy${count === 1 ? '' : ` (the first of ${count} such characters)`}`,
    help:
      character === '\r'
        ? 'save the file with Unix or Windows line endings'
        : isDeceptive(character)
          ? 'it makes the text look different from what it is: remove it'
          : 'a policy is UTF-8 text without control characters',
  });
  return edits;
}

/** A character that cannot be printed, in words. */
export function nameOf(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  switch (code) {
    case 'FFFD':
      return `bytes that are not UTF-8 (read as ${quote('U+FFFD')})`;
    case '000D':
      return `a carriage return (${quote('U+000D')}) without a line feed`;
    case 'FEFF':
      return `a byte-order mark (${quote('U+FEFF')}) inside the text`;
    default:
      return `the ${kindOf(character)} ${quote(`U+${code}`)}`;
  }
}

function kindOf(character: string): string {
  if (DIRECTION.test(character)) return 'direction control';
  return DECEPTIVE.test(character) ? 'invisible character' : 'character';
}
