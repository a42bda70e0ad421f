import { quote } from '#core/diagnostics/quote.ts';
import type { TextEdit } from './mend-text.ts';
import type { YamlCause, YamlLine } from './yaml-lines.ts';

/** A block list or mapping that lines may go on with. */
interface Block {
  readonly indent: number;
  readonly isList: boolean;
  /** The line its last entry is on. */
  line: YamlLine;
  /** How many entries it has so far. */
  entries: number;
  /** Whether its last entry may still get a value below. */
  isWaiting: boolean;
}

const KEY = /^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'[\]{},#&*!|>%@`-][^#]*?|-[^\s#][^#]*?):(?=\s|$)/;

/** Finds lines that stand in no column of the lines above them, and lines of a mapping that have no `key:`. */
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
    // What follows stands in relation to a line that is wrong: whatever else is found would be guesswork.
    break;
  }
  return causes;
}

/** A line among those around it. */
interface Placed {
  readonly line: YamlLine;
  readonly next: YamlLine | undefined;
  /** The lines below it, up to the first that is indented by `indent` or less. */
  readonly after: (indent: number) => readonly YamlLine[];
  /** The lines from one above it on. */
  readonly from: (above: YamlLine) => readonly YamlLine[];
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
    // A list may stand in the column of the key it belongs to.
    blocks.pop();
    parent = blocks.at(-1);
  }
  if (parent !== undefined && parent.indent < line.indent && !parent.isWaiting) {
    if (closed.length === 0 && !isItem && !KEY.test(rest)) return undefined;
    return outOfColumn(placed, parent, closed);
  }
  return enter(placed, line.indent, blocks);
}

function outOfColumn(placed: Placed, parent: Block, closed: readonly Block[]): YamlCause {
  const { line } = placed;
  const tight = /^( *(?:- +)+)([\w-]+:\S.*)$/.exec(parent.line.text);
  if (closed.length === 0 && parent.isList && tight !== null)
    return noColon(parent.line, tight[1]?.length ?? 0, tight[2] ?? '');
  const rest = line.text.slice(line.indent);
  if (/^-[^\s-]/.test(rest)) return dashWithoutSpace(line, rest);
  const isItem = /^-(?:\s|$)/.test(rest);
  // Of a list and a mapping as near to it, an item belongs to the list.
  const distance = ({ indent, isList }: Block): number =>
    Math.abs(indent - line.indent) + (isItem && !isList ? 0.5 : 0);
  const like = [...closed, parent].toSorted((a, b) => distance(a) - distance(b))[0] ?? parent;
  if (isItem && !like.isList) return itemAmongKeys(line, like);
  const upper = { line: like.line, indent: like.indent, where: 'above' };
  const lower = { line, indent: line.indent, where: 'below' };
  const odd = oddOf(placed, like);
  const [wrong, right] = odd === 'above' ? [upper, lower] : [lower, upper];
  const what = like.isList ? 'list' : 'mapping';
  return {
    start: wrong.line.start + wrong.indent,
    end: wrong.line.end,
    message: `the line begins at column ${wrong.indent + 1}, and line ${right.line.number} ${right.where} it at column ${right.indent + 1}`,
    help:
      odd === 'unclear'
        ? `lines of one ${what} begin at the same column: indent both alike, with spaces`
        : `most ${like.isList ? 'items' : 'lines'} of this ${what} begin at column ${right.indent + 1}: indent line ${wrong.line.number} like them, with ${right.indent} ${right.indent === 1 ? 'space' : 'spaces'}`,
    related: {
      start: right.line.start + right.indent,
      end: right.line.end,
      message: `it begins at column ${right.indent + 1}`,
    },
    edits:
      odd === 'above'
        ? placed.from(like.line).map((one) => shifted(one, line.indent - like.indent))
        : moved(placed, like.indent),
    isGuess: true,
  };
}

/** Which of a line and the last entry of the block it is nearest to stands in another column than most of their siblings. */
function oddOf(
  { line, after }: Placed,
  { indent, isList, entries, line: above }: Block,
): 'above' | 'below' | 'unclear' {
  const isSibling = (column: number) => (one: YamlLine) =>
    one.indent === column && /^-(?:\s|$)/.test(one.text.slice(column)) === isList;
  const siblings = (column: number): number => after(column - 1).filter(isSibling(column)).length;
  // Deeper lines below a key without a value are its own.
  const hasOwn = line.indent < indent && line.text.endsWith(':');
  const there = entries + (hasOwn ? 0 : siblings(indent));
  const here = 1 + siblings(line.indent);
  if (there > here) return 'below';
  // What stands behind a dash is in the column that the dash gives it.
  return here > there && entries === 1 && above.indent === indent ? 'above' : 'unclear';
}

/** A line put in a column, with the lines below it that only belong to it if they move too. */
function moved({ line, after }: Placed, column: number): TextEdit[] {
  const columns = column - line.indent;
  const others = after(Math.max(line.indent, column));
  const inner = /^ *(?:- +)+/.exec(line.text)?.[0].length;
  const moves = inner === undefined ? columns > 0 : others[0]?.indent === inner;
  return [line, ...(moves ? others : [])].map((one) => shifted(one, columns));
}

function shifted({ start, indent }: YamlLine, columns: number): TextEdit {
  return columns > 0
    ? { start, end: start, insert: ' '.repeat(columns) }
    : { start, end: start + Math.min(indent, -columns), insert: '' };
}

/** `-{ protocol: tcp }`, `-protocol: tcp`. */
function dashWithoutSpace(line: YamlLine, rest: string): YamlCause {
  const dash = line.start + line.indent;
  return {
    start: dash,
    end: line.end,
    message: `no space follows the dash in ${quote(rest)}`,
    help: `write ${quote(`- ${rest.slice(1)}`)}`,
    edits: [{ start: dash + 1, end: dash + 1, insert: ' ' }],
  };
}

/** A list whose first items have lost their dashes. */
function itemAmongKeys(line: YamlLine, like: Block): YamlCause {
  return {
    start: line.start + line.indent,
    end: line.end,
    message: `a list item begins here, but the lines above it, up to line ${like.line.number}, are not part of one`,
    help: 'every list item begins with a dash: write `- ` before the first key above too',
    related: { start: like.line.start + like.indent, end: like.line.end, message: 'this is not part of a list item' },
  };
}

/** Takes in what begins at `column` of a line: an item, a key, or a value alone. */
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
  // A text may go on over lines, but no key stands in the middle of one.
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

function noColon(line: YamlLine, column: number, rest: string): YamlCause {
  const tight = /^([\w-]+):(\S.*)$/.exec(rest);
  const start = line.start + column;
  const comment = /^(?:\/\/|;|--|\/\*|REM\b)\s*/.exec(rest);
  if (comment !== null) {
    return {
      start,
      end: line.end,
      message: `${quote(rest)} is not \`key: value\``,
      help: `a comment begins with \`#\`: write ${quote(`# ${rest.slice(comment[0].length)}`)}`,
      edits: [{ start, end: line.end, insert: '#' }],
    };
  }
  return {
    start,
    end: line.end,
    message: tight === null ? `${quote(rest)} is not \`key: value\`` : `no space follows the colon in ${quote(rest)}`,
    help:
      tight === null
        ? 'a key is followed by a colon and a space: is the colon missing?'
        : `write ${quote(`${tight[1]}: ${tight[2]}`)}`,
    edits: [{ start, end: line.end, insert: withColon(rest) }],
  };
}

function withColon(text: string): string {
  const parts = /^([\w-]+)(?::|\s*=\s*|\s+)(\S.*)$/.exec(text);
  if (parts !== null) return `${parts[1]}: ${parts[2]}`;
  return /^[\w-]+$/.test(text) ? `${text}:` : '#';
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
