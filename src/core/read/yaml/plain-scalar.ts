// All offsets are into a text whose last line ends, so that no scalar reaches its end.

/** Why a text is not for the plain reader; it says nothing of whether the text is well-formed. */
export class NotPlain extends Error {
  override readonly name = 'NotPlain';
}

/** Leaves a text to the whole library. */
export function notPlain(): never {
  throw new NotPlain();
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
export const SPACE = 0x20;
export const DOUBLE_QUOTE = 0x22;
export const HASH = 0x23;
export const SINGLE_QUOTE = 0x27;
export const COMMA = 0x2c;
export const DASH = 0x2d;
export const COLON = 0x3a;
export const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
export const CLOSE_BRACKET = 0x5d;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;

/** A flag for each ASCII character that is one of `characters`. */
function tableOf(characters: string): Uint8Array {
  const table = new Uint8Array(128);
  for (const character of characters) table[character.charCodeAt(0)] = 1;
  return table;
}

/** Where a scalar may end. */
const STOPS = tableOf('\n\r #:,[]{}');

const FLOW_INDICATORS = tableOf(',[]{}');

/** What a scalar may begin with; fewer than YAML has, but what policies have. */
const BEGINNINGS = tableOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_/$(');

/** All that YAML's core schema could take for a number, and more. */
const NUMBER_LIKE = /^[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?$|^0[ox]/;

/** Whether `code` ends a line. */
export function isLineEnd(code: number): boolean {
  return code === LINE_FEED || code === CARRIAGE_RETURN;
}

/** Whether `code` is one of `,[]{}`. */
function isFlowIndicator(code: number): boolean {
  return code < 128 && FLOW_INDICATORS[code] === 1;
}

/** The offset behind the plain scalar that begins at `start` and ends on its line. Throws NotPlain where none begins. */
export function plainScalarEnd(text: string, start: number, inFlow: boolean): number {
  if (!mayBegin(text, start)) notPlain();
  let end = start;
  for (;;) {
    const code = text.charCodeAt(end);
    if (code >= 128 || STOPS[code] === 0) {
      end += 1;
      continue;
    }
    switch (code) {
      case SPACE: {
        const next = spacesEnd(text, end);
        const after = text.charCodeAt(next);
        if (isLineEnd(after) || after === HASH || (inFlow && isFlowIndicator(after))) return end;
        end = next;
        break;
      }
      case COLON:
        if (isSeparator(text, end, inFlow)) return text.charCodeAt(end - 1) === SPACE ? notPlain() : end;
        end += 1;
        break;
      case HASH:
        end += 1;
        break;
      default:
        if (isLineEnd(code) || inFlow) return end;
        end += 1;
    }
  }
}

/** Whether the colon at `at` ends a plain key. */
export function isSeparator(text: string, at: number, inFlow: boolean): boolean {
  const next = text.charCodeAt(at + 1);
  return next === SPACE || isLineEnd(next) || (inFlow && isFlowIndicator(next));
}

/** The offset of the first character from `at` on that is no space. */
export function spacesEnd(text: string, at: number): number {
  let end = at;
  while (text.charCodeAt(end) === SPACE) end += 1;
  return end;
}

/** The offset at which the line of `at` ends, before a carriage return if there is one. */
export function lineEnd(text: string, at: number): number {
  const feed = text.indexOf('\n', at);
  return text.charCodeAt(feed - 1) === CARRIAGE_RETURN ? feed - 1 : feed;
}

/** The offset behind the quoted scalar that begins at `start`. Throws NotPlain for one with escapes or several lines. */
export function quotedScalarEnd(text: string, start: number): number {
  const quote = text.charCodeAt(start);
  for (let at = start + 1; ; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      if (quote === SINGLE_QUOTE && text.charCodeAt(at + 1) === quote) notPlain();
      return at + 1;
    }
    if (isLineEnd(code) || (code === BACKSLASH && quote === DOUBLE_QUOTE)) notPlain();
  }
}

/** What the plain scalar `source` means in YAML's core schema. Throws NotPlain for what nobody needs to write like that. */
export function plainScalarValue(source: string): string | number | boolean | null {
  const first = source.charCodeAt(0);
  if (first <= 0x39 && first >= 0x30) {
    if (!NUMBER_LIKE.test(source)) return source;
    return /^(?:0|[1-9][0-9]{0,14})$/.test(source) ? Number(source) : notPlain();
  }
  if (source.length > 5) return source;
  switch (source) {
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
      return null;
    default:
      return /^(?:true|false|null)$/i.test(source) ? notPlain() : source;
  }
}

/** Letters, digits and a few more; `./` and `../` for the names of files, `::` for addresses. */
function mayBegin(text: string, start: number): boolean {
  const code = text.charCodeAt(start);
  if (code >= 128 || BEGINNINGS[code] === 1) return true;
  return text.startsWith('./', start) || text.startsWith('../', start) || text.startsWith('::', start);
}
