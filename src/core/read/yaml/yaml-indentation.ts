import { quote } from '#core/diagnostics/quote.ts';
import { noColon } from './no-colon.ts';
import { type Block, outOfColumn, type Placed } from './out-of-column.ts';
import type { YamlCause, YamlLine } from './yaml-lines.ts';

const KEY = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'[\]{},#&*!|>%@`-][^#]*?|-[^\s#][^#]*?):(?=\s|$)/;

/** Finds lines that begin at no column of the lines above, and lines of a mapping that have no `key:`. */
export function scanIndentation(lines: readonly YamlLine[]): readonly YamlCause[] {
  const causes: YamlCause[] = [];
  const blocks: Block[] = [];
  for (const [index, line] of lines.entries()) {
    if (/^(?:---|\.\.\.|%)/.test(line.text)) continue;
    const placed: Placed = {
      line,
      next: lines[index + 1],
      after: (indent) => below(lines, index, indent),
      from: (above) => lines.slice(lines.indexOf(above), index),
    };
    const cause = place(placed, blocks);
    if (cause === undefined) continue;
    causes.push(cause);
    // What follows is placed relative to a wrong line: any further finding would be guesswork.
    break;
  }
  return causes;
}

function below(lines: readonly YamlLine[], index: number, indent: number): readonly YamlLine[] {
  const end = lines.findIndex((line, at) => at > index && line.indent <= indent);
  return lines.slice(index + 1, end < 0 ? undefined : end);
}

function place(placed: Placed, blocks: Block[]): YamlCause | undefined {
  const { line } = placed;
  const closed: Block[] = [];
  while ((blocks.at(-1)?.indent ?? -1) > line.indent) closed.push(blocks.pop() as Block);
  let parent = blocks.at(-1);
  const rest = line.text.slice(line.indent);
  const isItem = /^-(?:\s|$)/.test(rest);
  if (parent !== undefined && parent.indent === line.indent && parent.isList && !isItem) {
    // A list may begin at the column of its key.
    blocks.pop();
    parent = blocks.at(-1);
  }
  if (parent !== undefined && parent.indent < line.indent && !parent.isWaiting) {
    if (closed.length === 0 && !isItem && !KEY.test(rest)) return undefined;
    return outOfColumn(placed, parent, closed);
  }
  return enter(placed, line.indent, blocks);
}

/** Enters what begins at `column` of a line into the open blocks: an item, a key, or a value alone. */
function enter(placed: Placed, column: number, blocks: Block[]): YamlCause | undefined {
  const { line, next } = placed;
  const rest = line.text.slice(column);
  const item = /^-(?:\s+|$)/.exec(rest);
  if (item !== null) {
    const behind = rest.slice(item[0].length);
    note(blocks, { indent: column, isList: true, line, entries: 1, isWaiting: behind === '' });
    return behind === '' ? undefined : enter(placed, column + item[0].length, blocks);
  }
  const key = KEY.exec(rest);
  if (key !== null) {
    const value = rest.slice(key[0].length).trim();
    note(blocks, { indent: column, isList: false, line, entries: 1, isWaiting: /^(?:[&!]\S+)?$/.test(value) });
    return plainColon(line, column + key[0].length, value);
  }
  const star = /^\*[^\s:]*:(?=\s|$)/.exec(rest);
  if (star !== null) {
    const start = line.start + column;
    const name = star[0].slice(0, -1);
    const [end, help] = [start + name.length, `a name that begins with \`*\` needs quotes: ${quote(`"${name}":`)}`];
    return {
      start,
      end,
      message: `${quote(name)} is an alias to YAML`,
      help,
      edits: [{ start, end, insert: `"${name}"` }],
    };
  }
  const top = blocks.at(-1);
  if (/^["'[{*&!?|>]/.test(rest)) return undefined;
  // A text may span lines, but has no key in the middle.
  const isFirstOfKeys = column === line.indent && next?.indent === column && KEY.test(next.text.slice(column));
  if (isFirstOfKeys && top !== undefined && top.indent < column) return noColon(line, column, rest);
  if (top === undefined || top.indent !== column || top.isList) return undefined;
  return noColon(line, column, rest);
}

function note(blocks: Block[], block: Block): void {
  const top = blocks.at(-1);
  if (top !== undefined && top.indent === block.indent && top.isList === block.isList) {
    top.line = block.line;
    top.entries += 1;
    top.isWaiting = block.isWaiting;
    return;
  }
  if (top !== undefined) top.isWaiting = false;
  blocks.push(block);
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
    message: `${quote(value)} has a colon in it and no quotes around it`,
    help: `put the text in quotes: ${quote(`"${value.replaceAll('"', "'")}"`)}`,
    edits: [{ start, end: line.end, insert: `'${value.replaceAll("'", "''")}'` }],
  };
}
