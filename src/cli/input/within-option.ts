import { type CommandLine, type CommandOption, type Streams, UsageError } from '#cli/framework/command.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import { patienceOf } from '#host/patience.ts';

/** How long the work of a command may take by default. */
export const DEFAULT_SECONDS = 60;
const MAX_SECONDS = 86_400;

/** `--within`: how long the work of a command may take. */
export const WITHIN: CommandOption = {
  type: 'string',
  value: 'SECONDS',
  help: `stop after this time and report what was left out (default ${DEFAULT_SECONDS})`,
};

/** Work that is done sooner shows no progress. */
const SILENT_MILLISECONDS = 1_000;

/** Runs `work` within the time that `--within` allows, and shows on a terminal how long it takes. Rejects with a UsageError. */
export async function workWithin<Result>(
  line: CommandLine,
  { streams, what }: { readonly streams: Streams; readonly what: string },
  work: (patience: Patience) => Result | Promise<Result>,
): Promise<Result> {
  const text = line.text('within') ?? String(DEFAULT_SECONDS);
  const seconds = /^\d+$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > MAX_SECONDS)
    throw new UsageError(`--within is 1 to ${MAX_SECONDS} seconds, not \`${text}\``);
  const began = performance.now();
  let next = SILENT_MILLISECONDS;
  const patience = patienceOf(seconds, () => {
    const taken = performance.now() - began;
    if (taken < next) return;
    next = taken + SILENT_MILLISECONDS;
    streams.progress(`${what}: ${Math.round(taken / 1000)} s of ${seconds} s at most`);
  });
  try {
    return await work(patience);
  } finally {
    streams.progress(undefined);
  }
}
