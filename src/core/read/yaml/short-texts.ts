/** The slots of the table; a power of two. */
const SLOTS = 1024;

/** Longer texts are seldom the same. */
const LONGEST = 24;

/** Takes the stretch of a text between two offsets, as a string that others equal to it share. */
export type TextAt = (start: number, end: number) => string;

/**
 * Shares strings among equal stretches of `text`: a policy has a few words many thousand times, and a property is found
 * faster by a string that was a key before. Where two words fall into one slot, the later one takes it.
 */
export function shortTexts(text: string): TextAt {
  const table = Array.from({ length: SLOTS }, () => '');
  return (start, end) => {
    const length = end - start;
    if (length > LONGEST || length === 0) return text.slice(start, end);
    const middle = text.charCodeAt(start + (length >> 1));
    const slot = (text.charCodeAt(start) * 31 + middle * 7 + text.charCodeAt(end - 1) * 5 + length) & (SLOTS - 1);
    const known = table[slot] ?? '';
    if (known.length === length && isAt(text, start, known)) return known;
    const found = text.slice(start, end);
    table[slot] = found;
    return found;
  };
}

function isAt(text: string, start: number, word: string): boolean {
  for (let i = 0; i < word.length; i += 1) if (text.charCodeAt(start + i) !== word.charCodeAt(i)) return false;
  return true;
}
