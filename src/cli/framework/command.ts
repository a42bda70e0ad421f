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
  /** What the value is called in the help; options of type string have one. */
  readonly value?: string;
  /** The values there are; undefined is any, such as a file. */
  readonly choices?: readonly string[];
  readonly help: string;
}

/** What a command was called with, checked against its options. */
export interface CommandLine {
  readonly positionals: readonly string[];
  /** The value of a string option. */
  text(name: string): string | undefined;
  /** Whether a boolean option was given. */
  given(name: string): boolean;
}

/**
 * Where a command's words go; data to `out` and `exact`, diagnostics and questions to `err`.
 * INVARIANT: a command writes nothing past these, so that names, files, arguments and answers reach no terminal raw.
 */
export interface Streams {
  /** Text for people, and JSON: what a terminal would act on or hide is escaped, which JSON takes for the same. */
  out(text: StyledText): void;
  /** As `out`. */
  err(text: StyledText): void;
  /** What a file or another program takes as it is, such as a script; on a terminal it is for people, as `out` is. */
  exact(text: string): void;
  /** On a terminal, one line of standard error that the next call replaces, and that goes away by undefined. */
  progress(text: string | undefined): void;
  /** Empties the terminal; nothing where the output is none. */
  clear(): void;
}

/** A command of `sgctl`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What stands after the command's name in its usage line. */
  readonly usage: string;
  readonly options: Readonly<Record<string, CommandOption>>;
  readonly maxPositionals: number;
  /** What may stand there; undefined is a file. */
  readonly words?: readonly string[];
  readonly examples: readonly string[];
  /** What exit status 1 says; undefined where the command never ends with it. */
  readonly exitNo?: string;
  run(line: CommandLine, streams: Streams): Promise<ExitStatus>;
}

/** Wrong usage: the message is for the person who typed it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Something could not be done; the message says what and why. */
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

/** The help of a command: usage, what it does, options, examples, exit statuses. */
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
