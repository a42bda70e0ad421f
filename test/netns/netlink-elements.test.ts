import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { highestAddress } from '#core/model/net/address.ts';
import type { Element, ElementChange, ElementTransaction } from '#core/model/nft/element-change.ts';
import { type Content, planStep, STEPS, TABLE_TEXT, transactionText } from './harness-netlink/element-steps.ts';
import { CallError, type Namespace, useNamespaces } from './harness-netlink/namespace.ts';

const RUNS = Number(process.env['NETLINK_RUNS'] ?? 12);
const SEED = Number(process.env['NETLINK_SEED'] ?? Date.now() % 2 ** 31);

let one: Namespace;
let other: Namespace;
useNamespaces(2, (...made) => {
  [one, other] = made as [Namespace, Namespace];
});
beforeEach(() => {
  for (const namespace of [one, other]) namespace.nft(TABLE_TEXT);
});

describe('by netlink and by the program nft', () => {
  test('the same changes make the same table', { timeout: 60_000 + RUNS * 10_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(STEPS, fc.boolean(), async (steps, mixed) => {
        for (const namespace of [one, other]) namespace.nft(TABLE_TEXT);
        let content: Content = new Map();
        for (const [i, step] of steps.entries()) {
          const { change, accepted, after } = planStep(step, content, i + 1);
          // Each must also take up what the other has left.
          const [byNetlink, byText] = mixed && i % 2 === 1 ? [other, one] : [one, other];
          const text = transactionText(change);
          const taken = await isTaken(byNetlink, change);
          expect([text, taken, byText.nftAccepts(text)]).toEqual([text, accepted, accepted]);
          expect([text, tableOf(one)]).toEqual([text, tableOf(other)]);
          content = after;
        }
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: process.env['NETLINK_SHRINK'] === undefined },
    );
  });
});

describe.each(['ipv4', 'ipv6'] as const)('every %s address, in and out of sets and maps of ranges', (key) => {
  const to = highestAddress(key);
  const element = (first: bigint, last: bigint, verdict?: Element['verdict']): Element => ({
    interval: { family: key, from: first, to: last },
    verdict,
  });
  const [below, within, above] = [[0n, 7n] as const, [10n, 19n] as const, [to - 4n, to] as const];
  const stages: readonly (readonly (readonly [bigint, bigint])[])[] = [
    [within],
    [[0n, to]],
    [below, within, above],
    [[0n, to]],
    [below],
    [[0n, to]],
    [above],
    [[0n, to]],
    [],
    [[0n, to]],
  ];

  test.each(['set', 'map'] as const)('%s', async (kind) => {
    const set = `ranges.${key}.${kind}.g1`;
    const verdict = kind === 'map' ? ({ kind: 'accept' } as const) : undefined;
    const elements = (stage: (typeof stages)[number] = []): readonly Element[] =>
      stage.map(([first, last]) => element(first, last, verdict));
    for (const [i, stage] of stages.entries()) {
      const change = transaction([
        { set, key, interval: true, removed: elements(stages[i - 1]), added: elements(stage) },
      ]);
      await one.call('applyElements', change);
      expect(other.nftAccepts(transactionText(change))).toBe(true);
      expect(tableOf(one)).toEqual(tableOf(other));
      expect(elementsOf(one, set, kind)).toHaveLength(stage.length);
    }
    expect(JSON.stringify(elementsOf(one, set, kind))).toContain('"len":0');
  });
});

/** What the kernel follows from a base chain, and back. */
const CIRCLE = `table inet secgroupd {
  chain two.g1 { ip saddr vmap @hosts.ipv4.map.g1; }
  chain input { type filter hook input priority filter; jump two.g1; }
}
`;

describe('a batch of which the last element is refused leaves nothing behind', () => {
  const there = { interval: { family: 'ipv4', from: 9n, to: 9n }, verdict: undefined } as const;
  const cases: readonly [what: string, last: Partial<ElementChange>, errno: string][] = [
    ['an element that is there', { added: [there] }, 'EEXIST'],
    ['an element that is not there', { removed: [host(8n)] }, 'ENOENT'],
    ['a set that is not there', { set: 'nothing.g1', added: [host(8n)] }, 'ENOENT'],
    [
      'a range of which a part is there',
      { set: 'ranges.ipv4.set.g1', interval: true, added: [range(15n, 25n)] },
      'EEXIST',
    ],
    ['a part of a range', { set: 'ranges.ipv4.set.g1', interval: true, removed: [range(10n, 15n)] }, 'ENOENT'],
    ['a chain that is not there', { set: 'hosts.ipv4.map.g1', added: [host(8n, 'nowhere.g1')] }, 'ENOENT'],
    // Found when the whole batch is in, by the check of all chains before it is committed.
    ['a jump around in a circle', { set: 'hosts.ipv4.map.g1', added: [host(8n, 'two.g1')] }, 'EMLINK'],
  ];

  test.each(cases)('%s', async (_what, last, errno) => {
    one.nft(CIRCLE);
    await one.call(
      'applyElements',
      transaction([{ added: [there] }, { set: 'ranges.ipv4.set.g1', interval: true, added: [range(10n, 20n)] }]),
    );
    const before = tableOf(one);
    const refused = transaction([{ added: [host(1n), host(2n)] }, last]);
    const failure = await failureOf(one.call('applyElements', { ...refused, applied: undefined }));
    expect(failure).toMatchObject({ failure: 'refused', errno });
    expect(tableOf(one)).toEqual(before);
    // The socket serves on.
    await one.call('applyElements', transaction([{ added: [host(1n)] }]));
    expect(tableOf(one)).not.toEqual(before);
  });

  test('which one it was is told', async () => {
    const failure = await failureOf(
      one.call('applyElements', transaction([{ added: [host(1n)] }, { removed: [host(8n)] }, { removed: [host(7n)] }])),
    );
    expect(failure).toMatchObject({ failure: 'refused', errno: 'ENOENT', index: 1 });
  });
});

test('a full batch of which every message is refused does not overflow the socket', async () => {
  const elements = Array.from({ length: 14_000 }, (_, i) => host(BigInt(i)));
  for (const changes of [
    [{ set: 'nothing.g1', added: elements }],
    Array.from({ length: 200 }, () => ({ set: 'nothing.g1', added: [host(1n)] })),
    Array.from({ length: 130 }, () => ({ set: 'nothing.g1', added: elements.slice(0, 45) })),
  ]) {
    const failure = await failureOf(one.call('applyElements', { ...transaction(changes), applied: undefined }));
    expect(failure).toMatchObject({ failure: 'refused', errno: 'ENOENT', index: 0 });
  }
});

test('changes that are asked for at once are made one after the other', async () => {
  await Promise.all(
    Array.from({ length: 300 }, async (_, i) => one.call('applyElements', transaction([{ added: [host(BigInt(i))] }]))),
  );
  expect(elementsOf(one, 'hosts.ipv4.set.g1')).toHaveLength(300);
});

async function isTaken(namespace: Namespace, change: ElementTransaction): Promise<boolean> {
  try {
    await namespace.call('applyElements', change);
    return true;
  } catch (error) {
    if (error instanceof CallError && error.failure.failure === 'refused') return false;
    throw error;
  }
}

async function failureOf(running: Promise<unknown>): Promise<unknown> {
  return running.then(
    () => undefined,
    (error: unknown) => (error instanceof CallError ? error.failure : error),
  );
}

/** All that nft lists of the table, as text and as JSON; handles, which refused rules use up as well, left out. */
function tableOf(namespace: Namespace): unknown {
  const text = namespace.list('list', 'table', 'inet', 'secgroupd');
  const json = namespace.list('-j', 'list', 'table', 'inet', 'secgroupd').replaceAll(/, "handle": \d+/g, '');
  return { text, json: JSON.parse(json) as unknown };
}

function elementsOf(namespace: Namespace, set: string, kind: 'set' | 'map' = 'set'): readonly unknown[] {
  const { nftables } = JSON.parse(namespace.list('-j', 'list', kind, 'inet', 'secgroupd', set)) as {
    nftables: readonly Partial<Record<'set' | 'map', { elem?: readonly unknown[] }>>[];
  };
  return nftables[1]?.[kind]?.elem ?? [];
}

function transaction(changes: readonly Partial<ElementChange>[]): ElementTransaction {
  const none = { set: 'hosts.ipv4.set.g1', key: 'ipv4', interval: false, removed: [], added: [] } as const;
  return {
    table: 'inet secgroupd',
    changes: changes.map((change) => ({ ...none, ...change })),
    rules: [],
    applied: { set: 'applied', comment: 'generation 1 sha256:abc' },
  };
}

function host(value: bigint, chain?: string): Element {
  return { ...range(value, value), verdict: chain === undefined ? undefined : { kind: 'jump', chain } };
}

function range(from: bigint, to: bigint): Element {
  return { interval: { family: 'ipv4', from, to }, verdict: undefined };
}
