/** A longer quotation says no more about the mistake. */
const MAX_QUOTE_LENGTH = 60;

/** Characters that a terminal may interpret or hide: controls, format characters such as bidi overrides, line separators, lone surrogates. */
const UNPRINTABLE = /(?!\p{VS})[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{DI}]/gu;

/**
 * `text` on one line and without anything a terminal would act on; as many characters as before, so that carets stand
 * where they belong.
 */
export function masked(text: string): string {
  return text.replace(/[\t\n]/g, ' ').replace(UNPRINTABLE, '\u{fffd}');
}

/** User input in backticks, masked and clipped. */
export function quote(text: string): string {
  // A character has at most two UTF-16 units; the last pair taken may be a half, but then it is clipped.
  const start = masked(text.slice(0, 2 * (MAX_QUOTE_LENGTH + 1)));
  const characters = [...start];
  const clipped =
    characters.length > MAX_QUOTE_LENGTH ? `${characters.slice(0, MAX_QUOTE_LENGTH - 1).join('')}…` : start;
  return `\`${clipped}\``;
}
