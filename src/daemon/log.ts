import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

/** The levels that `--log-level` takes. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A logger that writes to standard output: lines to read on a terminal, JSON elsewhere. */
export function createLog(level: LogLevel): Logger {
  if (!process.stdout.isTTY) return pino({ level, base: null });
  const colorize = process.env['NO_COLOR'] === undefined || process.env['NO_COLOR'] === '';
  return pino({ level, base: null }, pretty({ colorize, translateTime: 'SYS:HH:MM:ss.l', sync: true }));
}
