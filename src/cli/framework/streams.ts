import { printable } from '#core/diagnostics/printable.ts';
import { partsOf, type Style, type StyledText } from '#core/diagnostics/styled-text.ts';
import type { Streams } from './command.ts';

const COLOURS: Readonly<Record<Style, string>> = {
  error: '1;31',
  warning: '1;33',
  info: '1;34',
  note: '1;36',
  help: '1;36',
  frame: '2',
  strong: '1',
};

/** An output: standard output or error, or a test's substitute. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** Streams onto two outputs; colour only on a terminal, and never if `plain`. */
export function streamsOnto(outputs: { readonly out: Output; readonly err: Output }, plain: boolean): Streams {
  const { out, err } = outputs;
  let isProgressShown = false;
  const write = (output: Output, text: StyledText): void =>
    void output.write(harmless(text, output.isTTY === true && !plain));
  return {
    out: (text) => write(out, text),
    err: (text) => write(err, text),
    exact: (text) => void out.write(out.isTTY === true ? printable(text) : text),
    progress: (text) => {
      if (err.isTTY !== true || (text === undefined && !isProgressShown)) return;
      err.write(`\r\u001b[K${printable(text ?? '')}`);
      isProgressShown = text !== undefined;
    },
    clear: () => {
      if (out.isTTY === true) out.write('\u001b[H\u001b[2J');
    },
  };
}

/** Standard output and error; NO_COLOR keeps colours away. */
export function standardStreams(): Streams {
  return streamsOnto({ out: process.stdout, err: process.stderr }, (process.env['NO_COLOR'] ?? '') !== '');
}

/** INVARIANT: colours are the only control sequences sent to a terminal, added after everything else is escaped. */
function harmless(text: StyledText, colour: boolean): string {
  return partsOf(text)
    .map((part) => {
      if (typeof part === 'string') return printable(part);
      const shown = printable(part.text);
      return colour ? `\u001b[${COLOURS[part.style]}m${shown}\u001b[0m` : shown;
    })
    .join('');
}
