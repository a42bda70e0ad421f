import { printable } from '#core/diagnostics/printable.ts';
import { localTime } from '#host/local-time.ts';

/** Where a line goes: to journald, which has the time and takes the level from a prefix, to a coloured terminal, or elsewhere. */
export type LogTarget = 'journal' | 'colours' | 'plain';

interface Level {
  readonly word: string;
  /** The prefix of sd-daemon(3), by which journald knows the level. */
  readonly syslog: number;
  readonly colour: number;
}

const LEVELS: ReadonlyMap<unknown, Level> = new Map([
  [60, { word: 'fatal', syslog: 2, colour: 31 }],
  [50, { word: 'error', syslog: 3, colour: 31 }],
  [40, { word: 'warning', syslog: 4, colour: 33 }],
  [30, { word: 'info', syslog: 6, colour: 32 }],
  [20, { word: 'debug', syslog: 7, colour: 36 }],
  [10, { word: 'trace', syslog: 7, colour: 36 }],
]);

const INFO: Level = { word: 'info', syslog: 6, colour: 32 };

/** What the message of an event says already, or what programs alone read. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  ...['level', 'time', 'msg', 'err', 'help', 'code', 'packet', 'generation', 'change', 'by'],
  ...['file', 'line', 'column', 'reason', 'interface', 'found', 'times', 'errors'],
]);

/** An entry of the log, a line of JSON, as a line for people: what happened, the error, what to do, and figures. */
export function logLine(entry: string, target: LogTarget): string {
  const fields = JSON.parse(entry) as Record<string, unknown>;
  const { word, syslog, colour } = LEVELS.get(fields['level']) ?? INFO;
  const text = oneLine(textOf(fields));
  if (target === 'journal') return `<${syslog}>${text}\n`;
  const time = localTime(new Date(Number(fields['time'])).toISOString());
  const named = word.padEnd(7);
  return `${time} ${target === 'colours' ? `\u{1b}[${colour}m${named}\u{1b}[39m` : named} ${text}\n`;
}

function textOf({ msg, err, help, ...others }: Record<string, unknown>): string {
  const figures = Object.entries(others)
    .filter(([name, value]) => !LEFT_OUT.has(name) && ['string', 'number', 'boolean'].includes(typeof value))
    .map(([name, value]) => `${name} ${String(value)}`);
  const message = typeof msg === 'string' ? msg : '';
  const reason = reasonOf(err);
  return [
    message,
    reason === undefined || message.includes(reason) ? '' : `: ${reason}`,
    figures.length === 0 ? '' : ` (${figures.join(', ')})`,
    typeof help === 'string' ? `; help: ${help}` : '',
  ].join('');
}

function reasonOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('message' in error)) return undefined;
  return typeof error.message === 'string' ? error.message : undefined;
}

/** INVARIANT: one entry is one line, or text from elsewhere could pass for an entry of its own. */
function oneLine(text: string): string {
  return printable(text).replaceAll(/\s*\n\s*/g, ' | ');
}
