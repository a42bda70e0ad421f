import { quote } from '../diagnostics/quote.ts';
import type { YamlCause, YamlLine } from './yaml-lines.ts';

/** A block list or mapping that lines may go on with. */
interface Block {
  readonly indent: number;
  readonly isList: boolean;
  /** The line its last entry is on. */
  line: YamlLine;
  /** Whether its last entry may still get a value below. */
  isWaiting: boolean;
}

const KEY = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'[\]{},#&*!|>%@`-][^#]*?|-[^\s#][^#]*?):(?=\s|$)/;

/** Finds lines that stand in no column of the lines above them, and lines of a mapping that have no `key:`. */
export function scanIndentation(lines: readonly YamlLine[]): readonly YamlCause[] {
  const causes: YamlCause[] = [];
  const blocks: Block[] = [];
  for (const line of lines) {
    if (/^(?:---|\.\.\.|%)/.test(line.text)) continue;
    const cause = place(line, blocks);
    if (cause === undefined) continue;
    causes.push(cause);
    // What follows stands in relation to a line that is wrong: whatever else is found would be guesswork.
    break;
  }
  return causes;
}

function place(line: YamlLine, blocks: Block[]): YamlCause | undefined {
  const closed: Block[] = [];
  while ((blocks.at(-1)?.indent ?? -1) > line.indent) closed.push(blocks.pop() as Block);
  let parent = blocks.at(-1);
  const rest = line.text.slice(line.indent);
  const isItem = /^-(?:\s|$)/.test(rest);
  if (parent !== undefined && parent.indent === line.indent && parent.isList && !isItem) {
    // A list may stand in the column of the key it belongs to.
    blocks.pop();
    parent = blocks.at(-1);
  }
  if (parent !== undefined && parent.indent < line.indent && !parent.isWaiting) {
    if (closed.length === 0 && !isItem && !KEY.test(rest)) return undefined;
    return outOfColumn(line, parent, closed);
  }
  return enter(line, line.indent, blocks);
}

function outOfColumn(line: YamlLine, parent: Block, closed: readonly Block[]): YamlCause {
  const near = [...closed, parent].toSorted(
    (a, b) => Math.abs(a.indent - line.indent) - Math.abs(b.indent - line.indent),
  )[0];
  const like = near ?? parent;
  return {
    start: line.start + line.indent,
    end: line.end,
    message: `the line begins at column ${line.indent + 1}, and line ${like.line.number} above it at column ${like.indent + 1}`,
    help: `lines of one ${like.isList ? 'list' : 'mapping'} begin at the same column: indent both alike, with spaces`,
    related: {
      start: like.line.start + like.indent,
      end: like.line.end,
      message: `it begins at column ${like.indent + 1}`,
    },
  };
}

/** Takes in what begins at `column` of a line: an item, a key, or a value alone. */
function enter(line: YamlLine, column: number, blocks: Block[]): YamlCause | undefined {
  const rest = line.text.slice(column);
  const item = /^-(?:\s+|$)/.exec(rest);
  if (item !== null) {
    const behind = rest.slice(item[0].length);
    note(blocks, { indent: column, isList: true, line, isWaiting: behind === '' });
    return behind === '' ? undefined : enter(line, column + item[0].length, blocks);
  }
  const key = KEY.exec(rest);
  if (key !== null) {
    const value = rest.slice(key[0].length).trim();
    note(blocks, { indent: column, isList: false, line, isWaiting: /^(?:[&!]\S+)?$/.test(value) });
    return plainColon(line, column + key[0].length, value);
  }
  const top = blocks.at(-1);
  if (top === undefined || top.indent !== column || top.isList || /^["'[{*&!?]/.test(rest)) return undefined;
  return noColon(line, column, rest);
}

function note(blocks: Block[], block: Block): void {
  const top = blocks.at(-1);
  if (top !== undefined && top.indent === block.indent && top.isList === block.isList) {
    top.line = block.line;
    top.isWaiting = block.isWaiting;
    return;
  }
  if (top !== undefined) top.isWaiting = false;
  blocks.push(block);
}

function noColon(line: YamlLine, column: number, rest: string): YamlCause {
  const tight = /^([\w-]+):(\S.*)$/.exec(rest);
  return {
    start: line.start + column,
    end: line.end,
    message:
      tight === null ? `${quote(rest)} is not \`key: value\`` : `no space stands behind the colon of ${quote(rest)}`,
    help:
      tight === null
        ? 'a colon and a space stand between a key and its value: is the colon missing?'
        : `write ${quote(`${tight[1]}: ${tight[2]}`)}`,
  };
}

/** A value without quotes that has a colon and a space in it. */
function plainColon(line: YamlLine, column: number, value: string): YamlCause | undefined {
  if (/^["'[{&*!|>]/.test(value)) return undefined;
  const colon = /:(?=\s|$)/.exec(value);
  if (colon === null) return undefined;
  const start = line.start + line.text.indexOf(value, column);
  return {
    start,
    end: line.end,
    message: `${quote(value)} has a colon in it, and stands without quotes`,
    help: `put the text in quotes: ${quote(`"${value.replaceAll('"', "'")}"`)}`,
  };
}
