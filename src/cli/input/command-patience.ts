import type { Difference } from '#core/meaning/compare/compare-policies.ts';
import { patienceOf } from '#host/patience.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import { type CommandLine, type CommandOption, type Streams, UsageError } from '#cli/framework/command.ts';

/** How long what a command looks at may take, unless it is told. */
export const DEFAULT_SECONDS = 60;
const MAX_SECONDS = 86_400;

/** `--within`: how long the work of a command may take. */
export const WITHIN: CommandOption = {
  type: 'string',
  value: 'SECONDS',
  help: `stop after so long and say what was left out (default ${DEFAULT_SECONDS})`,
};

/** What is printed where work was left out: how to have it done. */
export const WAIT_LONGER = 'have it all looked at: --within SECONDS waits longer';

const FAMILY_NAMES = { ipv4: 'IPv4', ipv6: 'IPv6' } as const;

/** What people are told of packets that were not compared. */
export function leftOutLines(
  leftOut: readonly Pick<Difference, 'interface' | 'direction' | 'family'>[],
): readonly string[] {
  if (leftOut.length === 0) return [];
  return [
    ...leftOut.map(
      (one) =>
        `NOT COMPARED in time: ${one.direction} ${FAMILY_NAMES[one.family]} on ${one.interface ?? 'every other interface'}`,
    ),
    `help: ${WAIT_LONGER}`,
    '',
  ];
}

/** Nothing is said of work that is done sooner. */
const SILENT_MILLISECONDS = 1_000;

/** Does what takes long, and tells how long it has taken meanwhile, where somebody sits at a terminal. Rejects with a UsageError. */
export async function workWithin<Result>(
  line: CommandLine,
  { streams, what }: { readonly streams: Streams; readonly what: string },
  work: (patience: Patience) => Result | Promise<Result>,
): Promise<Result> {
  const text = line.text('within') ?? String(DEFAULT_SECONDS);
  const seconds = /^\d+$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > MAX_SECONDS)
    throw new UsageError(`--within is 1 to ${MAX_SECONDS} seconds, and not \`${text}\``);
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
