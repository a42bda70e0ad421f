import type { TextEdit } from './mend-text.ts';
import { scanBrackets } from './unclosed.ts';
import { scanIndentation } from './yaml-indentation.ts';
import { type YamlCause, yamlLines } from './yaml-lines.ts';

/**
 * The likely causes why a text is not well-formed YAML: tabs, unclosed brackets and quotes, inconsistent indentation,
 * missing colons and commas. Empty if none of these is found. Only for texts with mistakes: in a sound one it may find
 * false ones. `isAboutTabs` says that a tab is one of the mistakes.
 */
export function yamlCauses(text: string, isAboutTabs: boolean): readonly YamlCause[] {
  // The search is more than linear in the length of a line, and nobody writes such long ones.
  if (text.length > MAX_LENGTH || LONG_LINE.test(text)) return [];
  const tabs = tabsOf(text);
  if (isAboutTabs && tabs !== undefined) return [tabs];
  const { causes, block } = scanBrackets(yamlLines(text));
  const found = causes.length > 0 ? causes : scanIndentation(block);
  return found.length > 0 || tabs === undefined ? found : [tabs];
}

/** In UTF-16 units. */
const MAX_LENGTH = 1_000_000;

/** With more lines that begin with tabs, none is mended. */
const MAX_TABS = 200;

const LONG_LINE = /[^\n]{1000}/;

/** Tabs at the beginning of lines, as one mistake: one editor setting makes them all. */
function tabsOf(text: string): YamlCause | undefined {
  const found = [...text.matchAll(/^( *)(\t[ \t]*)(?=[^\s#])/gm)];
  const [first] = found;
  if (first === undefined) return undefined;
  const start = first.index + (first[1] ?? '').length;
  const more = found.length - 1;
  const edits = found.length <= MAX_TABS && isBlock(text) ? found.flatMap((match) => spacesFor(text, match)) : [];
  return {
    start,
    end: start + (first[2] ?? '').length,
    message: `a tab indents this line${more === 0 ? '' : `, and ${more} more ${more === 1 ? 'line' : 'lines'}`}`,
    help: 'YAML does not allow tabs as indentation: use spaces',
    edits: edits.length === found.length ? edits : undefined,
    isGuess: true,
  };
}

/** Whether no bracket is open at the end of a line, where indentation has no meaning. */
function isBlock(text: string): boolean {
  return !/[[{,]\s*$/m.test(text);
}

/** Spaces to the column of the line above, or to that of its content. */
function spacesFor(text: string, { 0: indentation, index }: RegExpExecArray): TextEdit[] {
  const before = text.slice(0, index).trimEnd();
  const above = before.slice(before.lastIndexOf('\n') + 1);
  const column = /^ *(?:- +)*/.exec(above)?.[0].length ?? 0;
  const isItem = text.startsWith('- ', index + indentation.length);
  if (above.startsWith('\t') || above.includes('#') || isItem) return [];
  return [
    { start: index, end: index + indentation.length, insert: ' '.repeat(above.endsWith(':') ? column + 2 : column) },
  ];
}
