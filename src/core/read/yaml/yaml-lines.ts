import type { TextEdit } from './mend-text.ts';

/** Why a text is not well-formed YAML, between two offsets. */
export interface YamlCause {
  readonly start: number;
  readonly end: number;
  readonly message: string;
  readonly help: string;
  readonly related?: { readonly start: number; readonly end: number; readonly message: string } | undefined;
  /** Edits that mend the mistake as its author likely meant it; undefined if the intent is not clear. */
  readonly edits?: readonly TextEdit[] | undefined;
  /** Whether the edits may move lines below a wrong key. */
  readonly isGuess?: boolean | undefined;
}

/** A line of a text with content, outside block scalars. */
export interface YamlLine {
  readonly start: number;
  /** The offset after the last character that is neither space nor comment. */
  readonly end: number;
  /** From 1. */
  readonly number: number;
  /** The column, from 0, of the first character that is no space. */
  readonly indent: number;
  readonly text: string;
}

/** An open bracket or brace. */
export interface Opening {
  readonly offset: number;
  readonly line: number;
  readonly indent: number;
  readonly character: string;
}

/** A block scalar begins at the end of such a line. */
const BLOCK_SCALAR = /(?:^|[\s:-])[|>][-+0-9]*$/;

/** The lines of a text that have content: without empty lines, comments and the content of block scalars. */
export function yamlLines(text: string): readonly YamlLine[] {
  const lines: YamlLine[] = [];
  let scalarIndent: number | undefined;
  let number = 0;
  for (let start = 0; start < text.length; ) {
    const feed = text.indexOf('\n', start);
    const next = feed < 0 ? text.length : feed + 1;
    const whole = text.slice(start, feed < 0 ? text.length : feed);
    number += 1;
    const indent = whole.length - whole.replace(/^ +/, '').length;
    const said = withoutComment(whole);
    if (scalarIndent !== undefined && whole.trim() !== '' && indent <= scalarIndent) scalarIndent = undefined;
    if (said.trim() !== '' && scalarIndent === undefined) {
      lines.push({ start, end: start + said.length, number, indent, text: said });
      if (BLOCK_SCALAR.test(said)) scalarIndent = indent;
    }
    start = next;
  }
  return lines;
}

function withoutComment(line: string): string {
  let quote: string | undefined;
  for (let i = 0; i < line.length; i += 1) {
    const character = line[i] ?? '';
    if (quote !== undefined) {
      if (character === '\\' && quote === '"') i += 1;
      else if (character === quote) quote = undefined;
    } else if ((character === '"' || character === "'") && mayBeginScalar(line, i)) quote = character;
    else if (character === '#' && (i === 0 || /\s/.test(line[i - 1] ?? ''))) return line.slice(0, i).trimEnd();
  }
  return line.trimEnd();
}

/** Whether a scalar can begin at `index` of a line; inside one, quotes and brackets have no meaning. */
export function mayBeginScalar(line: string, index: number): boolean {
  const before = line.slice(0, index).trimEnd();
  return before === '' || /[[{,]$/.test(before) || (/(?:^|\s)-$|:$|\?$/.test(before) && before.length < index);
}
