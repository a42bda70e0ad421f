import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { createFlowRevocation } from '#daemon/reconcile/flow-revocation.ts';
import type { Revocation } from '#kernel/conntrack/revocation.ts';
import { hostPolicyOf } from '../netns/enforce.ts';

/** A revocation whose looks end when told to. */
function slowRevocation() {
  const looks: { readonly before: number; readonly isKnown: boolean; readonly end: (error?: Error) => void }[] = [];
  let refills = 0;
  const revocation: Revocation = {
    seed: async () => 0,
    enforce: ({ before, isBeforeKnown }) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error): void =>
          error === undefined ? resolve({ revoked: 0, restored: 0, leftOut: 0 }) : reject(error);
        looks.push({ before: before.length, isKnown: isBeforeKnown, end });
      }),
    refill: () => {
      refills += 1;
    },
    renew: async () => undefined,
    forget: () => undefined,
    count: () => 0,
    close: () => undefined,
  };
  return { revocation, looks, refills: () => refills };
}

let policy: HostPolicy;

beforeEach(async () => {
  policy = await hostPolicyOf('{ version: 1, securityGroups: {}, instances: { host: { interfaces: {} } } }');
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const log = pino({ level: 'silent' });
const changed = (before: HostPolicy | undefined, isTableNew = false) => ({
  before: before === undefined ? [] : [before],
  isBeforeKnown: before !== undefined,
  after: policy,
  interfaces: [],
  isTableNew,
  onJudged: async () => undefined,
});

test('changes amid a look get one look together, which knows what each of them took away', async () => {
  const { revocation, looks } = slowRevocation();
  const flowRevocation = createFlowRevocation(revocation, log);
  flowRevocation.after(changed(policy));
  for (let i = 0; i < 3; i += 1) flowRevocation.after(changed(policy));
  expect(looks.map(({ before }) => before)).toEqual([1]);
  looks[0]?.end();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(looks.map(({ before }) => before)).toEqual([1, 3]);
  // Where for one of them nobody knows what was before, what is known of the others still counts.
  flowRevocation.after(changed(policy));
  flowRevocation.after(changed(undefined));
  looks[1]?.end();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(looks.map(({ before, isKnown }) => [before, isKnown])).toEqual([
    [1, true],
    [3, true],
    [1, false],
  ]);
  looks[2]?.end();
  await flowRevocation.close();
});

test('a flood of changes is bounded', async () => {
  const { revocation, looks } = slowRevocation();
  const flowRevocation = createFlowRevocation(revocation, log);
  for (let i = 0; i < 1_000; i += 1) flowRevocation.after(changed(policy));
  looks[0]?.end();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(looks.map(({ before }) => before)).toEqual([1, 16]);
  looks[1]?.end();
  await flowRevocation.close();
});

test('a look that fails is tried again with what it was about, and told', async () => {
  const { revocation, looks, refills } = slowRevocation();
  const flowRevocation = createFlowRevocation(revocation, log);
  flowRevocation.after(changed(policy, true));
  expect(refills()).toBe(1);
  looks[0]?.end(new Error('no answer'));
  await vi.advanceTimersByTimeAsync(0);
  expect(flowRevocation.status()).toEqual({ remembered: 0, leftOut: 0, trouble: 'no answer' });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(looks.map(({ before }) => before)).toEqual([1, 1]);
  looks[1]?.end();
  await vi.advanceTimersByTimeAsync(0);
  expect(flowRevocation.status().trouble).toBeNull();
  await flowRevocation.close();
});
