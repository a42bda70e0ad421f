import { askRunningDaemon, followDaemon } from '#api/daemon-client.ts';
import type { LogEntry } from '#api/log-entry.ts';
import { describeLogEntry } from '#api/log-entry-text.ts';
import { ROUTES } from '#api/routes.ts';
import {
  type Command,
  type CommandLine,
  EXIT,
  type ExitStatus,
  type Streams,
  UsageError,
} from '#cli/framework/command.ts';
import { OPTION, socketPath } from '#cli/framework/options.ts';
import { localTime } from '#host/local-time.ts';

/** `sgctl log [-f]`: shows logged packets and the rules that logged them. */
export const log: Command = {
  name: 'log',
  summary:
    'Shows denied packets, and packets that rules with `log: true` allow, each with the rule that decided, its file and line. By default at most 10 a second are logged (`logging.rate`), half of them reserved for addresses not logged within the last minute. The journal has them too.',
  usage: '[-f] [-n COUNT]',
  options: {
    follow: { type: 'boolean', short: 'f', help: 'continue with new packets as they are logged, until interrupted' },
    lines: {
      type: 'string',
      short: 'n',
      value: 'COUNT',
      help: 'show at most the last COUNT (default 100, with -f 10; 1000 are kept)',
    },
    json: { type: 'boolean', help: 'print JSON, one object a line' },
    'runtime-dir': OPTION.runtimeDir,
    help: OPTION.help,
  },
  maxPositionals: 0,
  examples: ['sudo sgctl log -f', 'sudo sgctl log -n 20', "sudo sgctl log --json | jq -r '.src' | sort | uniq -c"],
  async run(line, streams) {
    return line.given('follow') ? follow(line, streams) : show(line, streams);
  },
};

/** How many packets are shown without -n. */
const DEFAULT_COUNT = 100;

async function show(line: CommandLine, streams: Streams): Promise<ExitStatus> {
  const answer = await askRunningDaemon(socketPath(line), ROUTES.log);
  const count = countOf(line) ?? DEFAULT_COUNT;
  for (const entry of count === 0 ? [] : answer.entries.slice(-count)) print(entry, line, streams);
  return EXIT.success;
}

/** The number that -n gives; undefined without it. Throws a UsageError. */
function countOf(line: CommandLine): number | undefined {
  const text = line.text('lines');
  if (text !== undefined && !/^[0-9]{1,6}$/.test(text)) throw new UsageError(`-n is a number, not \`${text}\``);
  return text === undefined ? undefined : Number(text);
}

async function follow(line: CommandLine, streams: Streams): Promise<ExitStatus> {
  // Without -n the call has no number, which a daemon of an earlier version does not know.
  const call = { route: ROUTES.followLog, number: countOf(line) };
  await followDaemon(socketPath(line), call, (entry) => print(entry, line, streams));
  streams.err('the daemon has ended\n');
  return EXIT.failed;
}

function print(entry: LogEntry, line: CommandLine, streams: Streams): void {
  streams.out(
    line.given('json') ? `${JSON.stringify(entry)}\n` : `${localTime(entry.time)}  ${describeLogEntry(entry)}\n`,
  );
}
