import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AddressEntries } from '#core/model/net/address-entries.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { classifyAddresses } from '#core/translate/4-compile/address-classes.ts';

/** So few addresses that groups share, nest and touch all the time. */
const LAST = 24n;

const interval = (from: bigint, to: bigint): Interval => ({ family: 'ipv4', from, to });

/** Disjoint ascending entries: hosts that are in no range, and ranges. */
const ENTRIES: fc.Arbitrary<AddressEntries> = fc
  .array(fc.constantFrom('none', 'host', 'range'), { minLength: Number(LAST) + 1, maxLength: Number(LAST) + 1 })
  .map((kinds) => {
    const hosts: Interval[] = [];
    const ranges: Interval[] = [];
    for (let at = 0; at < kinds.length; at += 1) {
      if (kinds[at] === 'none') continue;
      let end = at;
      while (kinds[at] === 'range' && kinds[end + 1] === 'range') end += 1;
      (end > at ? ranges : hosts).push(interval(BigInt(at), BigInt(end)));
      at = end;
    }
    return { hosts, ranges };
  });

describe('classifyAddresses', () => {
  test('knows of every address in just which groups it is', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), ENTRIES), (groups) => {
        const { classes, hosts, ranges } = classifyAddresses(new Map(Object.entries(groups)));
        for (let value = 0n; value <= LAST + 2n; value += 1n) {
          const holds = ({ from, to }: Interval): boolean => from <= value && value <= to;
          const inGroups = Object.entries(groups)
            .filter(([, entries]) => [...entries.hosts, ...entries.ranges].some(holds))
            .map(([key]) => key)
            .toSorted();
          const found = [...hosts, ...ranges]
            .filter((one) => holds(one.interval))
            .map(({ addressClass }) => addressClass.groups);
          // A host is looked for before ranges.
          expect(found[0] ?? []).toEqual(inGroups);
          expect(found.length).toBeLessThanOrEqual(2);
        }
        expect(new Set(classes.map(({ name }) => name)).size).toBe(classes.length);
        for (const list of [hosts, ranges]) {
          list.forEach(({ interval: { from } }, i) => expect(from > (list[i - 1]?.interval.to ?? -1n)).toBe(true));
        }
      }),
    );
  });

  test('names a class alike whatever other classes there are', () => {
    const groups = new Map<string, AddressEntries>([
      ['a', { hosts: [interval(1n, 1n)], ranges: [] }],
      ['b', { hosts: [interval(1n, 1n), interval(2n, 2n)], ranges: [] }],
    ]);
    const before = classifyAddresses(groups);
    const after = classifyAddresses(new Map([...groups, ['aa', { hosts: [interval(3n, 3n)], ranges: [] }]]));
    expect(before.hosts.map(({ addressClass }) => addressClass.name)).toEqual(['a.and.b', 'b']);
    expect(after.hosts.map(({ addressClass }) => addressClass.name)).toEqual(['a.and.b', 'b', 'aa']);
  });

  test('takes tens of thousands of IPv6 hosts, whose last 64 bits are alike', () => {
    const hosts = Array.from({ length: 60_000 }, (_, i): Interval => {
      const value = (((0x2001_0db8n << 32n) | BigInt(i * 7)) << 64n) | 1n;
      return { family: 'ipv6', from: value, to: value };
    });
    const groups = new Map<string, AddressEntries>([
      ['a', { hosts, ranges: [] }],
      ['b', { hosts: hosts.slice(30_000), ranges: [] }],
    ]);
    const classified = classifyAddresses(groups).hosts;
    expect(classified.map((host) => host.interval)).toEqual(hosts);
    expect([classified[29_999], classified[30_000]].map((one) => one?.addressClass.name)).toEqual(['a', 'a.and.b']);
  });
});
