import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GroupName } from '#core/model/policy/names.ts';
import type { Action, Rule } from '#core/model/policy/rule.ts';
import { type RemoteClause, resolveAddresses } from '#core/translate/4-compile/resolve-addresses.ts';

/** So few addresses that clauses overlap, nest, touch and leave gaps all the time. */
const LAST = 20n;

function ruleOf(action: Action, index: number): Rule {
  return {
    origin: {
      group: 'g' as GroupName,
      direction: 'inbound',
      index,
      template: undefined,
      span: { file: 'p.yaml', line: index + 1, column: 1, endLine: index + 1, endColumn: 2 },
    },
    action,
    priority: 1,
    priorityWritten: false,
    family: 'ipv4',
    traffic: { kind: 'all' },
    remote: { kind: 'any' },
    log: undefined,
    description: undefined,
  };
}

/** A clause without its rule: an interval, a set known by name, or any. */
const SAID = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(fc.bigInt({ min: 0n, max: LAST }), fc.bigInt({ min: 0n, max: 6n })).map(([from, size]) => ({
      kind: 'interval' as const,
      interval: { family: 'ipv4' as const, from, to: from + size },
    })),
  },
  { weight: 3, arbitrary: fc.constantFrom('a', 'b', 'c').map((set) => ({ kind: 'sets' as const, sets: [set] })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'any' as const }) },
);

const CLAUSES: fc.Arbitrary<RemoteClause[]> = fc
  .array(fc.tuple(SAID, fc.constantFrom<Action>('allow', 'deny')), { maxLength: 14 })
  .map((said) => said.map(([what, action], index): RemoteClause => ({ ...what, rule: ruleOf(action, index) })));

describe('resolveAddresses', () => {
  test.each([
    ['by its action', ({ action }: Rule) => action],
    ['by its rule', ({ origin }: Rule) => origin],
  ] as const)(
    'decides on every address, whatever the sets hold, as the first clause that matches does, %s',
    (_, says) => {
      const holding = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.array(fc.bigInt({ min: 0n, max: LAST + 6n })));
      fc.assert(
        fc.property(CLAUSES, holding, (clauses, held) => {
          const inSet = (set: string, value: bigint): boolean => (held[set] ?? []).includes(value);
          const { intervals, strata, rest } = resolveAddresses(clauses, 'ipv4', { says });
          for (let value = 0n; value <= LAST + 7n; value += 1n) {
            const first = clauses.find(
              (clause) =>
                clause.kind === 'any' ||
                (clause.kind === 'interval' && clause.interval.from <= value && value <= clause.interval.to) ||
                (clause.kind === 'sets' && clause.sets.some((set) => inSet(set, value))),
            );
            const holder = intervals.filter(({ interval }) => interval.from <= value && value <= interval.to);
            expect(holder.length).toBeLessThanOrEqual(1);
            // Sets of strata before the interval's own are asked first; behind the last interval, all of them are.
            const asked = strata.slice(0, holder[0]?.stratum ?? strata.length);
            const bySet = asked.find(({ sets }) => sets.some(({ set }) => inSet(set, value)));
            const rule = holder[0]?.rule ?? rest;
            const decided = bySet?.says ?? (rule === undefined ? undefined : says(rule));
            expect([value, decided]).toEqual([value, first === undefined ? undefined : says(first.rule)]);
          }
        }),
        { numRuns: 500 },
      );
    },
  );

  test('takes tens of thousands of IPv6 networks, whose last 64 bits are alike', () => {
    const clauses = Array.from({ length: 40_000 }, (_, index): RemoteClause => {
      const from = (0x2001_0db8_0000_0000n + 2n * BigInt(index)) << 64n;
      const interval = { family: 'ipv6', from, to: from + (1n << 64n) - 1n } as const;
      return { kind: 'interval', rule: ruleOf(index % 2 === 0 ? 'allow' : 'deny', index), interval };
    });
    const began = performance.now();
    const { intervals } = resolveAddresses(clauses, 'ipv6', { says: ({ action }) => action });
    // Hashed by those 64 bits it took many times as long.
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(intervals.map(({ interval }) => interval)).toEqual(
      clauses.flatMap((clause) => (clause.kind === 'interval' ? [clause.interval] : [])),
    );
  });
});
