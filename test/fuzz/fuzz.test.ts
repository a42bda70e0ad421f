import { afterAll, expect, test } from 'vitest';
import { type FuzzInput, mutate, seedInputs } from './input.ts';
import { createNftCheck } from './nft-check.ts';
import { createRandom } from './random.ts';
import { type Outcome, understand } from './subject.ts';

/** How many inputs are tried. */
const INPUTS = Number(process.env['FUZZ_INPUTS'] ?? 2_000);

/** The same inputs come of the same seed; told with what was found. */
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000_000);

/** Longer, and somebody who edits a file could take the daemon's time. */
const LONGEST_MILLISECONDS = 1_000;

/** What is made of long ones is longer, and takes time that others would have. */
const LONGEST_KEPT = 2_500;

/** Inputs to go on from are no more than this. */
const MOST_KEPT = 3_000;

const check = createNftCheck();

afterAll(() => {
  check.remove();
});

test(`of ${INPUTS} inputs none crashes or takes a second, and nft accepts whatever is accepted`, {
  timeout: 600_000 + INPUTS * 50,
}, async () => {
  const random = createRandom(SEED);
  const kept = [...seedInputs()];
  const features = new Set<string>();
  let accepted = 0;
  let longest = 0;
  const keep = (inputs: FuzzInput[], input: FuzzInput): void => {
    if (inputs.push(input) > MOST_KEPT) inputs.splice(random.below(MOST_KEPT), 1);
  };
  const fail = (input: FuzzInput, why: string): never => {
    throw new Error(`${why}\nseed ${SEED}, input ${JSON.stringify(input)}`);
  };
  /** Those that were accepted: what is made of them is so more often. */
  const valid: FuzzInput[] = [];
  const tryOne = async (input: FuzzInput): Promise<boolean> => {
    const outcome: Outcome = await understand(input).catch((error: unknown) =>
      fail(input, error instanceof Error ? (error.stack ?? error.message) : String(error)),
    );
    longest = Math.max(longest, outcome.milliseconds);
    if (outcome.milliseconds > LONGEST_MILLISECONDS) {
      // A machine that is busy with something else is no fault of the input's.
      const { milliseconds } = await understand(input);
      if (milliseconds > LONGEST_MILLISECONDS) fail(input, `it took ${milliseconds} ms`);
    }
    if (outcome.scripts.length > 0) accepted += 1;
    for (const script of outcome.scripts) {
      const complaint = check.take(script);
      if (complaint !== undefined) fail(input, `nft: ${complaint}`);
    }
    if (features.has(outcome.feature)) return false;
    features.add(outcome.feature);
    if (outcome.scripts.length > 0 && input.main.length < LONGEST_KEPT) keep(valid, input);
    return input.main.length < LONGEST_KEPT;
  };
  for (const seed of [...kept]) await tryOne(seed);
  for (let i = 0; i < INPUTS; i += 1) {
    const [one, other] = [random.of(random.below(3) === 0 ? kept : valid), random.of(kept)];
    if (one === undefined || other === undefined) throw new Error('no input to begin with');
    const input = mutate(one, other, random);
    if (await tryOne(input)) keep(kept, input);
  }
  expect(check.finish()).toBeUndefined();
  expect(accepted).toBeGreaterThan(INPUTS / 100);
  console.log(
    `${INPUTS} inputs, seed ${SEED}: ${accepted} accepted, ${check.asked()} different scripts, all taken by nft; ${features.size} ways; the longest took ${longest.toFixed(0)} ms`,
  );
});
