/** How a part of a text stands out on a terminal with colours. */
export type Style = 'error' | 'warning' | 'info' | 'note' | 'help' | 'frame' | 'strong';

/** A part of a text that stands out. */
export interface Styled {
  readonly style: Style;
  readonly text: string;
}

/** A text for people. Only whoever writes it to a terminal adds colours, after everything else in it is made harmless. */
export type StyledText = string | readonly (string | Styled)[];

/** The parts of a text, in order. */
export function partsOf(text: StyledText): readonly (string | Styled)[] {
  return typeof text === 'string' ? [text] : text;
}

/** The text without its styles. */
export function unstyled(text: StyledText): string {
  return partsOf(text)
    .map((part) => (typeof part === 'string' ? part : part.text))
    .join('');
}
