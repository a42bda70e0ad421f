import { quote } from '#core/diagnostics/quote.ts';
import type { TextEdit } from './mend-text.ts';
import { noColon } from './no-colon.ts';
import type { YamlCause, YamlLine } from './yaml-lines.ts';

/** An open block list or mapping, which the next lines may continue. */
export interface Block {
  readonly indent: number;
  readonly isList: boolean;
  /** The line of its last entry. */
  line: YamlLine;
  /** The number of its entries so far. */
  entries: number;
  /** Whether its last entry may still get a value below. */
  isWaiting: boolean;
}

/** A line, and the lines around it. */
export interface Placed {
  readonly line: YamlLine;
  readonly next: YamlLine | undefined;
  /** The lines below it, up to the first that is indented by `indent` or less. */
  readonly after: (indent: number) => readonly YamlLine[];
  /** The lines from one above it on. */
  readonly from: (above: YamlLine) => readonly YamlLine[];
}

/** The mistake of a line that begins at another column than the lines of the block it belongs to. */
export function outOfColumn(placed: Placed, parent: Block, closed: readonly Block[]): YamlCause {
  const { line } = placed;
  const tight = /^( *(?:- +)+)([\w-]+:\S.*)$/.exec(parent.line.text);
  if (closed.length === 0 && parent.isList && tight !== null)
    return noColon(parent.line, tight[1]?.length ?? 0, tight[2] ?? '');
  const rest = line.text.slice(line.indent);
  if (/^-[^\s-]/.test(rest)) return dashWithoutSpace(line, rest);
  const twofold = closed.length === 0 && !parent.isList ? valueAndLines(line, parent) : undefined;
  if (twofold !== undefined) return twofold;
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
        ? placed.from(like.line).map((moving) => shifted(moving, line.indent - like.indent))
        : moved(placed, like.indent),
    isGuess: true,
  };
}

/** `key: text` with lines of a mapping indented below it: which of the two is the value of the key is unclear. */
function valueAndLines({ indent, text }: YamlLine, { indent: column, line: above }: Block): YamlCause | undefined {
  const [match, key] = /^([\w-]+):\s+(?=[^\s#|>&*!{["'])/.exec(above.text.slice(column)) ?? [];
  if (match === undefined || key === undefined || indent < column + 2 || !text.endsWith(':')) return undefined;
  const start = above.start + column + match.length;
  return {
    start,
    end: above.end,
    message: `\`${key}\` has a value on its line, and lines below it`,
    help: 'take out the value, or the lines that are indented below it',
    edits: [{ start, end: above.end, insert: '' }],
  };
}

/** Which of a line and the last entry of the nearest block begins at another column than most of its siblings. */
function oddOf(
  { line, after }: Placed,
  { indent, isList, entries, line: above }: Block,
): 'above' | 'below' | 'unclear' {
  const isSibling = (column: number) => (other: YamlLine) =>
    other.indent === column && /^-(?:\s|$)/.test(other.text.slice(column)) === isList;
  const siblings = (column: number): number => after(column - 1).filter(isSibling(column)).length;
  // Deeper lines below a key without a value are its own.
  const hasOwn = line.indent < indent && line.text.endsWith(':');
  const there = entries + (hasOwn ? 0 : siblings(indent));
  const here = 1 + siblings(line.indent);
  if (there > here) return 'below';
  // What follows a dash begins at the column that the dash gives it.
  return here > there && entries === 1 && above.indent === indent ? 'above' : 'unclear';
}

/** Moves a line to a column, with the lines below that stay its own only if they move too. */
function moved({ line, after }: Placed, column: number): TextEdit[] {
  const columns = column - line.indent;
  const others = after(Math.max(line.indent, column));
  const inner = /^ *(?:- +)+/.exec(line.text)?.[0].length;
  const moves = inner === undefined ? columns > 0 : others[0]?.indent === inner;
  return [line, ...(moves ? others : [])].map((moving) => shifted(moving, columns));
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
