/**
 * Characters that a terminal interprets or hides: controls, direction marks and overrides, invisible and format
 * characters, line separators, halves of surrogate pairs. Line feeds and tabs are as they look, and a variation selector
 * (emoji have them) only chooses the look of what stands before it.
 */
const UNPRINTABLE = /(?![\n\t]|\p{VS})[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]/gu;

/**
 * `text` with nothing in it that a terminal acts on or hides: each such character is shown as its escape, `\u202e`.
 * The escapes are those of JSON, in pairs where JSON has pairs, so that JSON goes on to mean what it meant.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter);
}

/** {@link printable}, on one line: no name or file content can look like another line. */
export function printableLine(text: string): string {
  return printable(text).replace(/[\n\t]/g, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
