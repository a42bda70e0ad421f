import { fstatSync } from 'node:fs';
import { type Logger, pino } from 'pino';
import { printable } from '#core/diagnostics/printable.ts';
import type { LogFormat, LogLevel } from '#core/model/policy/log-levels.ts';
import { logLine } from './log-line.ts';

/**
 * A logger that writes to standard output: text for people, or JSON for programs. Without a format a terminal and
 * journald get text, and everything else JSON.
 */
export function createLog(level: LogLevel, format: LogFormat | undefined): Logger {
  // JSON means the same escaped; `cat` of a journal's export or a file meets nothing that a terminal would act on.
  const journal = isJournal();
  const isForPeople = format === undefined ? process.stdout.isTTY || journal : format === 'text';
  if (!isForPeople) return pino({ level, base: null, hooks: { streamWrite: printable } });
  const isTerminal = process.stdout.isTTY;
  const isColoured = isTerminal && (process.env['NO_COLOR'] ?? '') === '';
  const target = journal ? 'journal' : isColoured ? 'colours' : 'plain';
  return pino({ level, base: null, hooks: { streamWrite: (entry) => logLine(entry, target) } });
}

/** Whether standard output leads to journald, which notes the time by itself: systemd.exec(5), JOURNAL_STREAM. */
function isJournal(): boolean {
  const [device, inode] = (process.env['JOURNAL_STREAM'] ?? '').split(':');
  if (inode === undefined) return false;
  const { dev, ino } = fstatSync(1);
  return String(dev) === device && String(ino) === inode;
}
