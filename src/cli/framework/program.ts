import { parseArgs } from 'node:util';
import { DaemonError } from '#api/daemon-client.ts';
import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { FileWriteError } from '#host/files/write-file.ts';
import { NftError } from '#kernel/errors.ts';
import {
  type Command,
  CommandError,
  type CommandLine,
  type CommandOption,
  EXIT,
  type ExitStatus,
  formatHelp,
  parseArgsOptions,
  type Streams,
  UsageError,
} from './command.ts';

/** Reads `args` as `options` say. Throws a UsageError, with the nearest option there is. */
function readCommandLine(
  args: readonly string[],
  options: Readonly<Record<string, CommandOption>>,
  maxPositionals: number,
): CommandLine {
  const parsed = parseStrictly(args, options);
  if (parsed.positionals.length > maxPositionals)
    throw new UsageError(`unexpected \`${parsed.positionals[maxPositionals] ?? ''}\``);
  return {
    positionals: parsed.positionals,
    text: (name) => {
      const value = parsed.values[name];
      return typeof value === 'string' ? value : undefined;
    },
    given: (name) => parsed.values[name] === true,
  };
}

function parseStrictly(args: readonly string[], options: Readonly<Record<string, CommandOption>>) {
  try {
    return parseArgs({ args: [...args], options: parseArgsOptions(options), allowPositionals: true, strict: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const valued = /^Option '(--?[^', <]*)/.exec(error.message)?.[1];
    if (valued !== undefined && /ambiguous|missing/.test(error.message))
      throw new UsageError(
        `\`${valued}\` needs a value; one that begins with a dash is written \`${valued}${valued.startsWith('--') ? '=' : ''}-…\``,
      );
    const unknown = /Unknown option '--?([^']*)'/.exec(error.message)?.[1];
    if (unknown === undefined) throw new UsageError(error.message.split('\n')[0] ?? error.message);
    const near = didYouMean(unknown, Object.keys(options));
    throw new UsageError(
      `there is no option \`--${unknown}\`${near === undefined ? '' : `; did you mean \`--${near}\`?`}`,
    );
  }
}

/** Runs a command of `program` and returns its exit status. Prints failures; throws only bugs. */
export async function runCommand(
  program: string,
  command: Command,
  { args, streams }: { args: readonly string[]; streams: Streams },
): Promise<ExitStatus> {
  try {
    const line = readCommandLine(args, command.options, command.maxPositionals);
    if (line.given('help')) {
      streams.out(formatHelp(program, command));
      return EXIT.success;
    }
    return await command.run(line, streams);
  } catch (error) {
    return explainFailure(error, { program: `${program} ${command.name}`.trim(), streams });
  }
}

/** The errors that are failures of a command, not bugs. */
const FAILURES = [CommandError, DaemonError, NftError, FileWriteError];

/** Prints a failure and returns its exit status. Throws a bug. */
function explainFailure(error: unknown, { program, streams }: { program: string; streams: Streams }): ExitStatus {
  if (error instanceof UsageError) {
    streams.err(`${program}: ${error.message}\nhelp: ${program} --help\n`);
    return EXIT.usage;
  }
  if (FAILURES.some((failure) => error instanceof failure)) {
    const { message } = error as Error;
    streams.err(`${program}: ${message}\n`);
    return EXIT.failed;
  }
  throw error;
}

/** Prints a bug and returns the exit status. It may quote untrusted text, so it goes through the streams too. */
export function explainBug(error: unknown, streams: Streams): ExitStatus {
  streams.err(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.failed;
}
