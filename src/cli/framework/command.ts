import type { ParseArgsConfig } from 'node:util';
import type { StyledText } from '#core/diagnostics/styled-text.ts';

/** The exit status of both programs: a contract with scripts. */
export const EXIT = {
  success: 0,
  /** Not valid, or not as expected. */
  no: 1,
  /** Wrong usage. */
  usage: 2,
  /** Failed: no rights, kernel refused, daemon not there. */
  failed: 3,
} as const;

/** One of {@link EXIT}. */
export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** An option of a command. */
export interface CommandOption {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** The name of the value in the help, for options of type string. */
  readonly value?: string;
  /** The valid values; undefined if any value is, such as a file. */
  readonly choices?: readonly string[];
  readonly help: string;
}

/** The arguments of a command, checked against its options. */
export interface CommandLine {
  readonly positionals: readonly string[];
  /** The value of a string option. */
  text(name: string): string | undefined;
  /** Whether a boolean option was given. */
  given(name: string): boolean;
}

/**
 * The output of a command: data to `out` and `exact`, diagnostics and questions to `err`.
 * INVARIANT: a command writes nothing past these, so that names, files, arguments and answers reach no terminal raw.
 */
export interface Streams {
  /** Text for people, and JSON: characters that a terminal would act on or hide are escaped, also validly for JSON. */
  out(text: StyledText): void;
  /** As `out`. */
  err(text: StyledText): void;
  /** Text for a file or another program, such as a script, unchanged; on a terminal it is escaped, as by `out`. */
  exact(text: string): void;
  /** On a terminal, one line of standard error that the next call replaces; undefined removes it. */
  progress(text: string | undefined): void;
  /** Clears the terminal; does nothing if the output is not one. */
  clear(): void;
}

/** A command of `sgctl`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The arguments in the usage line. */
  readonly usage: string;
  readonly options: Readonly<Record<string, CommandOption>>;
  readonly maxPositionals: number;
  /** The valid positional arguments, for completion; undefined stands for files. */
  readonly words?: readonly string[];
  readonly examples: readonly string[];
  /** The meaning of exit status 1; undefined if the command never ends with it. */
  readonly exitNo?: string;
  run(line: CommandLine, streams: Streams): Promise<ExitStatus>;
}

/** Wrong usage: the message is for the user who typed the command. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A command could not do its work; the message gives the reason. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The options of a command in the form that node:util's parseArgs takes. */
export function parseArgsOptions(
  options: Readonly<Record<string, CommandOption>>,
): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, short }]) => [name, short === undefined ? { type } : { type, short }]),
  );
}

/** The help of a command: usage, summary, options, examples, exit statuses. */
export function formatHelp(
  program: string,
  { name, summary, usage, options, examples, exitNo }: Omit<Command, 'run' | 'maxPositionals'>,
): string {
  const rows = Object.entries(options).map(([option, { short, value, help }]) => {
    const left = `${short === undefined ? '    ' : `-${short}, `}--${option}${value === undefined ? '' : ` ${value}`}`;
    return `  ${left.padEnd(28)} ${help}`;
  });
  return [
    `Usage: ${[program, name, usage].filter((word) => word !== '').join(' ')}`,
    '',
    summary,
    '',
    'Options:',
    ...rows,
    '',
    'Examples:',
    ...examples.map((example) => `  ${example}`),
    '',
    `Exit status: 0 success${exitNo === undefined ? '' : `; 1 ${exitNo}`}; 2 wrong usage; 3 failed.`,
    '',
  ].join('\n');
}
