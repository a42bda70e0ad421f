import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareMembers } from '#core/meaning/compare/compare-members.ts';
import { addressEntries } from '#core/model/net/address-entries.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';

const withGroup = (intervals: readonly Interval[]): HostPolicy =>
  ({ members: new Map(), addressGroups: new Map([['group', addressEntries(intervals)]]) }) as unknown as HostPolicy;

const texts = (intervals: readonly Interval[]): readonly string[] =>
  intervals.map(({ family, from, to }) => `${family} ${from}-${to}`);

/** So few addresses that two groups share entries all the time. */
const INTERVALS: fc.Arbitrary<readonly Interval[]> = fc.array(
  fc
    .tuple(fc.constantFrom('ipv4' as const, 'ipv6' as const), fc.nat(12), fc.nat(3))
    .map(([family, from, size]): Interval => ({ family, from: BigInt(from), to: BigInt(from + size) })),
);

const entriesOf = (intervals: readonly Interval[]): readonly string[] => {
  const { ipv4, ipv6 } = addressEntries(intervals);
  return texts([ipv4, ipv6].flatMap(({ hosts, ranges }) => [...hosts, ...ranges]));
};

describe('compareMembers', () => {
  test('finds the entries that one policy has and the other does not', () => {
    fc.assert(
      fc.property(INTERVALS, INTERVALS, (before, after) => {
        const [change] = compareMembers(withGroup(before), withGroup(after));
        const [old, current] = [entriesOf(before), entriesOf(after)];
        expect(texts(change?.joined ?? [])).toEqual(current.filter((text) => !old.includes(text)));
        expect(texts(change?.left ?? [])).toEqual(old.filter((text) => !current.includes(text)));
      }),
    );
  });

  test('takes tens of thousands of IPv6 networks, whose last 64 bits are alike', () => {
    const networks = Array.from({ length: 60_000 }, (_, i): Interval => {
      const from = ((0x2001_0db8n << 32n) | BigInt(i * 7)) << 64n;
      return { family: 'ipv6', from, to: from + (1n << 64n) - 1n };
    });
    const [change] = compareMembers(
      withGroup(networks),
      withGroup(networks.slice(1).map((network) => ({ ...network }))),
    );
    expect(change).toMatchObject({ joined: [], left: [networks[0]] });
  });
});
