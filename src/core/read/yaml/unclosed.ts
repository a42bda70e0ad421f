import { quote } from '#core/diagnostics/quote.ts';
import type { TextEdit } from './mend-text.ts';
import { mayBeginScalar, type Opening, type YamlCause, type YamlLine } from './yaml-lines.ts';

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']' };

/** The causes found in lines, and the lines outside brackets. */
export interface BracketScan {
  readonly causes: readonly YamlCause[];
  readonly block: readonly YamlLine[];
}

/** Finds unclosed quotes, brackets and braces, those that close nothing, and missing commas. */
export function scanBrackets(lines: readonly YamlLine[]): BracketScan {
  const causes: YamlCause[] = [];
  const block: YamlLine[] = [];
  let open: Opening[] = [];
  let last: YamlLine | undefined;
  for (const line of lines) {
    const [first] = open;
    // Text inside brackets is indented more than the line that opens them, except for the closing bracket.
    if (first !== undefined && line.indent <= first.indent && !/^\s*[\]},]/.test(line.text)) {
      causes.push(...unclosed(open, last, line));
      open = [];
    }
    if (open.length === 0) block.push(line);
    open = scanLine(line, open, causes);
    last = line;
  }
  causes.push(...unclosed(open, last, undefined));
  return { causes, block };
}

/** The brackets that are open at the end of `last`, outermost first, and must be closed there. */
function unclosed(open: readonly Opening[], last: YamlLine | undefined, next: YamlLine | undefined): YamlCause[] {
  const closings = open.map(({ character }) => CLOSING[character] ?? '').toReversed();
  const end = last?.end ?? 0;
  const edits = [{ start: end, end, insert: closings.join('') }];
  return open.map((one, index) => ({ ...unclosedOne(one, next), edits: index === 0 ? edits : [] }));
}

function unclosedOne({ offset, line, character }: Opening, next: YamlLine | undefined): YamlCause {
  const closing = CLOSING[character] ?? '';
  return {
    start: offset,
    end: offset + 1,
    message: `the \`${character}\` of line ${line} is not closed`,
    help: `write \`${closing}\` where it ends, ${next === undefined ? 'before the end of the file' : `before line ${next.number}`}`,
  };
}

function scanLine(line: YamlLine, before: readonly Opening[], causes: YamlCause[]): Opening[] {
  const { text, start } = line;
  const open = [...before];
  for (let i = line.indent; i < text.length; i += 1) {
    const character = text[i] ?? '';
    const inFlow = open.length > 0;
    if ((character === '"' || character === "'") && mayBeginScalar(text, i)) {
      const end = quoteEnd(text, i);
      if (end === undefined) {
        causes.push({
          start: start + i,
          end: start + i + 1,
          message: `the quote \`${character}\` is not closed on its line`,
          help: `write \`${character}\` behind the last character of the text`,
          edits: [closingQuote(line, character, inFlow)],
        });
        // The rest of the line is text, so the state of the brackets around it is unknown.
        return [];
      }
      const behind = textBehindQuote(line, { from: i, to: end, inFlow });
      if (behind !== undefined) {
        causes.push(behind);
        return inFlow ? open : [];
      }
      i = end;
    } else if ((character === '{' || character === '[') && (inFlow || mayBeginScalar(text, i))) {
      open.push({ offset: start + i, line: line.number, indent: line.indent, character });
    } else if (inFlow && (character === '}' || character === ']')) {
      const last = open.pop();
      if (last !== undefined && CLOSING[last.character] !== character) {
        causes.push({
          start: start + i,
          end: start + i + 1,
          message: `\`${character}\` stands where the \`${last.character}\` of line ${last.line} has to be closed`,
          related: { start: last.offset, end: last.offset + 1, message: 'opened here' },
          ...closingOf(last, line, i),
        });
        return [];
      }
      const rest = text.slice(i + 1).trim();
      if (open.length === 0 && /^[\]}]/.test(rest)) {
        const at = start + i + 1 + text.slice(i + 1).search(/\S/);
        causes.push({
          start: at,
          end: at + 1,
          message: `\`${rest.charAt(0)}\` closes nothing`,
          help: 'remove it, or write the bracket that it closes',
          edits: [{ start: at, end: at + 1, insert: '' }],
        });
        return [];
      }
    } else if (inFlow && mayBeginScalar(text, i) && !/\s/.test(character)) {
      const missing = missingComma(line, i);
      if (missing !== undefined) causes.push(missing);
    }
  }
  return open;
}

/** Where a bracket most likely ends that is not closed before the other kind of bracket at `index`. */
function closingOf(
  { character, offset, line: openedOn }: Opening,
  { text, start, number }: YamlLine,
  index: number,
): Pick<YamlCause, 'help' | 'edits'> {
  const closing = CLOSING[character] ?? '';
  const from = offset - start + 1;
  const inside = openedOn === number ? text.slice(from, index) : '';
  // `[80, 443, source: any }`: a key is no entry of a list.
  const key = character === '[' ? /\s*,\s*[\w-]+:\s/.exec(inside) : null;
  const entry =
    inside
      .slice(0, key?.index ?? 0)
      .split(',')
      .at(-1)
      ?.trim() ?? '';
  if (key !== null && entry !== '') {
    const end = start + from + key.index;
    return { help: `write \`${closing}\` after ${quote(entry)}`, edits: [{ start: end, end, insert: closing }] };
  }
  const at = start + index;
  return {
    help: `write \`${closing}\` before it, or in its place`,
    edits: [{ start: at, end: at + 1, insert: closing }],
  };
}

/** `{ protocol: tcp ports: 22 }`. */
function missingComma({ text, start }: YamlLine, index: number): YamlCause | undefined {
  const match = /^([\w-]+:\s+(?:"[^"]*"|'[^']*'|[^\s,[\]{}"':]+)\s+)([\w-]+):(?=\s)/.exec(text.slice(index));
  if (match === null) return undefined;
  const at = start + index + (match[1] ?? '').length;
  return {
    start: at,
    end: at + (match[2] ?? '').length,
    message: `a comma is missing before \`${match[2]}\``,
    help: 'in braces, separate `key: value` pairs with commas',
    edits: [{ start: at, end: at, insert: ', ' }],
  };
}

/** Inserts a quote before the brackets at the end of the line. */
function closingQuote({ text, start }: YamlLine, character: string, inFlow: boolean): TextEdit {
  const brackets = inFlow ? (/[\s,\]}]*$/.exec(text)?.[0].length ?? 0) : 0;
  const at = start + text.length - brackets;
  return { start: at, end: at, insert: character };
}

/** `'the web's'`, `"a" b`, `["a" "b"]`. */
function textBehindQuote(
  { text, start, end: lineEnd }: YamlLine,
  { from, to, inFlow }: { readonly from: number; readonly to: number; readonly inFlow: boolean },
): YamlCause | undefined {
  const at = to + 1 + text.slice(to + 1).search(/\S|$/);
  const next = text[at];
  if (next === undefined || next === ':' || (inFlow && /[,\]}]/.test(next))) return undefined;
  const place = { start: start + at, end: lineEnd };
  if (inFlow) {
    return {
      ...place,
      message: 'a comma is missing after the closing quote',
      help: 'in brackets, separate entries with commas',
      edits: [{ start: start + to + 1, end: start + to + 1, insert: ',' }],
    };
  }
  const whole = text.slice(from);
  const inside = whole.slice(1).replace(/["']$/, '');
  return {
    ...place,
    message: `text follows the closing quote \`${text[from]}\``,
    help:
      text[from] === "'"
        ? "put the whole text in double quotes, or write `''` for each quote inside it"
        : `put the whole text in single quotes: ${quote(`'${whole.replaceAll("'", "''")}'`)}`,
    edits: [{ start: start + from, end: lineEnd, insert: `'${inside.replaceAll("'", "''")}'` }],
  };
}

/** The index of the quote that ends the text which begins at `start`. */
function quoteEnd(text: string, start: number): number | undefined {
  const mark = text[start];
  for (let i = start + 1; i < text.length; i += 1) {
    if (text[i] === '\\' && mark === '"') i += 1;
    else if (text[i] === mark) {
      if (mark === "'" && text[i + 1] === mark) i += 1;
      else return i;
    }
  }
  return undefined;
}
