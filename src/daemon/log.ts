import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { LogLevel } from '../model/log-levels.ts';

/** A logger that writes to standard output: lines to read on a terminal, JSON elsewhere. */
export function createLog(level: LogLevel): Logger {
  if (!process.stdout.isTTY) return pino({ level, base: null });
  const colorize = process.env['NO_COLOR'] === undefined || process.env['NO_COLOR'] === '';
  return pino({ level, base: null }, pretty({ colorize, translateTime: 'SYS:HH:MM:ss.l', sync: true }));
}
