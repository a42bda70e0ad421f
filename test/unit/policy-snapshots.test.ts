import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import {
  createPolicySnapshots,
  MAX_REPLACED_PROOFS,
  MAX_UNSETTLED_MILLISECONDS,
} from '#daemon/reconcile/policy-snapshots.ts';

const PROOF_MILLISECONDS = 10_000;

type Meaning = 'sound' | 'broken' | 'mistaken';

/** A version of the files; what it means shows after a proof, but for a mistake. */
function version(number: number, meaning: Meaning): LoadedPolicy {
  return {
    policy: meaning === 'mistaken' ? undefined : ({} as Policy),
    diagnostics: meaning === 'mistaken' ? [{ code: 'syntax', severity: 'error' } as unknown as Diagnostic] : [],
    sources: new Map([['policy.yaml', `${number} ${meaning}`]]),
    documents: ['policy.yaml'],
    files: ['policy.yaml', `list-${number}`],
    isUntrusted: false,
  };
}

function numberOf({ sources }: LoadedPolicy): number {
  return Number(sources.get('policy.yaml')?.split(' ')[0]);
}

/** Files that change as they are told to, a prover that takes its time, and what came of looking at them. */
function slowlyProved(slow: (loaded: LoadedPolicy) => boolean = () => true) {
  let now = version(0, 'sound');
  let underWay = 0;
  let mostUnderWay = 0;
  const outcomes: { readonly kind: 'valid' | 'invalid'; readonly number: number; readonly at: number }[] = [];
  const begun = performance.now();
  const proved = (loaded: LoadedPolicy): LoadedPolicy =>
    loaded.sources.get('policy.yaml')?.endsWith('broken') === true ? { ...loaded, policy: undefined } : loaded;
  const looks = createPolicySnapshots({
    load: async () => now,
    settling: { waiting: () => [] },
    prover: {
      prove: (loaded, signal) => {
        if (loaded.policy === undefined) return loaded;
        if (!slow(loaded)) return proved(loaded);
        underWay += 1;
        mostUnderWay = Math.max(mostUnderWay, underWay);
        return new Promise((resolve) => {
          const end = (): void => {
            clearTimeout(timer);
            underWay -= 1;
            resolve(proved(loaded));
          };
          const timer = setTimeout(end, PROOF_MILLISECONDS);
          signal?.addEventListener('abort', end, { once: true });
        });
      },
    },
  });
  let timer: NodeJS.Timeout | undefined;
  let awaited: Promise<void> | undefined;
  let queue = Promise.resolve();
  const lookOnce = async (): Promise<void> => {
    const { kind, loaded, proof, lookAgain, files } = await looks.look();
    expect(files).toEqual(now.files);
    if ((kind === 'valid' || kind === 'invalid') && outcomes.at(-1)?.number !== numberOf(loaded))
      outcomes.push({ kind, number: numberOf(loaded), at: performance.now() - begun });
    clearTimeout(timer);
    if (lookAgain !== undefined) timer = setTimeout(() => void look(), lookAgain);
    if (proof !== awaited) void proof?.then(look);
    awaited = proof;
  };
  const look = (): Promise<void> => {
    queue = queue.then(lookOnce);
    return queue;
  };
  return {
    outcomes: () => outcomes,
    mostUnderWay: () => mostUnderWay,
    async save(number: number, meaning: Meaning = 'sound') {
      await queue;
      now = version(number, meaning);
      await look();
    },
  };
}

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const pass = (milliseconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);

describe('files that change more often than a proof of them takes', () => {
  test.each([100, 1_000, PROOF_MILLISECONDS - 1])('every %d ms, come into force again and again', async (every) => {
    const files = slowlyProved();
    const seconds = 200;
    for (let number = 1; number <= (seconds * 1_000) / every; number += 1) {
      await files.save(number);
      await pass(every);
    }
    const outcomes = files.outcomes();
    const longest = (1 + MAX_REPLACED_PROOFS) * PROOF_MILLISECONDS;
    expect(outcomes.length).toBeGreaterThanOrEqual(Math.floor((seconds * 1_000) / longest));
    for (const [i, { at }] of outcomes.entries())
      expect(at - (outcomes[i - 1]?.at ?? 0)).toBeLessThanOrEqual(longest + every);
    // What comes into force was saved no longer ago than its proof takes, and never before what is in force already.
    const numbers = outcomes.map(({ number }) => number);
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    for (const { number, at } of outcomes) expect(at - number * every).toBeLessThanOrEqual(PROOF_MILLISECONDS + every);
    expect(files.mostUnderWay()).toBe(1);
  });

  test('are refused where what they assert is broken, and never in force', async () => {
    const files = slowlyProved();
    for (let number = 1; number <= 500; number += 1) {
      await files.save(number, 'broken');
      await pass(100);
    }
    expect(files.outcomes().length).toBeGreaterThan(1);
    expect(new Set(files.outcomes().map(({ kind }) => kind))).toEqual(new Set(['invalid']));
  });

  test('the newest is decided last, when they rest', async () => {
    for (const meaning of ['sound', 'broken', 'mistaken'] as const) {
      const files = slowlyProved();
      for (let number = 1; number <= 50; number += 1) {
        await files.save(number);
        await pass(100);
      }
      await files.save(51, meaning);
      await pass(3 * PROOF_MILLISECONDS);
      expect(files.outcomes().at(-1)).toMatchObject({ number: 51, kind: meaning === 'sound' ? 'valid' : 'invalid' });
    }
  });
});

test('what is saved soon after replaces what is being proved, which is never in force', async () => {
  const files = slowlyProved();
  await files.save(1);
  await pass(PROOF_MILLISECONDS / 2);
  await files.save(2);
  await pass(2 * PROOF_MILLISECONDS);
  expect(files.outcomes()).toMatchObject([{ number: 2, kind: 'valid' }]);
});

test('what was proved comes into force although what was saved after it has a mistake, and that is told', async () => {
  const files = slowlyProved();
  for (let number = 1; number <= 1 + MAX_REPLACED_PROOFS; number += 1) await files.save(number);
  await files.save(99, 'mistaken');
  await pass(PROOF_MILLISECONDS + 1_000);
  expect(files.outcomes()).toMatchObject([
    { number: 1 + MAX_REPLACED_PROOFS, kind: 'valid' },
    { number: 99, kind: 'invalid' },
  ]);
});

test('what can be proved at once waits for no older proof once that is done', async () => {
  const files = slowlyProved((loaded) => numberOf(loaded) < 50);
  for (let number = 1; number <= 1 + MAX_REPLACED_PROOFS; number += 1) await files.save(number);
  await files.save(60);
  await pass(PROOF_MILLISECONDS + 1);
  expect(files.outcomes()).toMatchObject([{ number: 60, kind: 'valid' }]);
});

test('files with a mistake that change all the time are refused within a bound; half-saved ones are not', async () => {
  const files = slowlyProved(() => false);
  for (let number = 1; number <= 5; number += 1) {
    await files.save(number, 'mistaken');
    await pass(100);
  }
  expect(files.outcomes()).toEqual([]);
  await files.save(6);
  expect(files.outcomes()).toMatchObject([{ number: 6, kind: 'valid' }]);
  for (let number = 7; number * 100 <= MAX_UNSETTLED_MILLISECONDS + 1_000; number += 1) {
    await files.save(number, 'mistaken');
    await pass(100);
  }
  expect(
    files
      .outcomes()
      .slice(1)
      .map(({ kind }) => kind),
  ).toContain('invalid');
});
