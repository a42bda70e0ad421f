import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import { printable } from '../diagnostics/printable.ts';
import type { LogLevel } from '../model/log-levels.ts';

/** A logger that writes to standard output: lines to read on a terminal, JSON elsewhere. */
export function createLog(level: LogLevel): Logger {
  // JSON means the same escaped; `cat` of a journal's export or a file meets nothing that a terminal would act on.
  if (!process.stdout.isTTY) return pino({ level, base: null, hooks: { streamWrite: printable } });
  const colorize = process.env['NO_COLOR'] === undefined || process.env['NO_COLOR'] === '';
  return pino(
    { level, base: null, hooks: { streamWrite: printableEntry } },
    pretty({ colorize, translateTime: 'SYS:HH:MM:ss.l', sync: true }),
  );
}

/** A line of the log whose texts, once read from it, are printable: they are written as they are, among colours. */
function printableEntry(line: string): string {
  const printableTexts = (_: string, value: unknown): unknown => (typeof value === 'string' ? printable(value) : value);
  return `${JSON.stringify(JSON.parse(line), printableTexts)}\n`;
}
