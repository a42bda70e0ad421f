import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FAMILIES } from '#core/model/net/address.ts';
import { addressEntries, entriesContain } from '#core/model/net/address-entries.ts';
import { type Interval, intervalContains } from '#core/model/net/interval.ts';

/** So few addresses that intervals overlap, touch and leave gaps of one all the time. */
const LAST = 24n;

const INTERVAL: fc.Arbitrary<Interval> = fc
  .tuple(fc.constantFrom(...FAMILIES), fc.bigInt({ min: 0n, max: LAST }), fc.bigInt({ min: 0n, max: 4n }))
  .map(([family, from, size]) => ({ family, from, to: from + size }));

const show = ({ from, to }: Interval): string => (from === to ? String(from) : `${from}-${to}`);

/** The IPv4 entries of intervals, written `7` and `7-9`. */
function entriesOf(...texts: readonly string[]): string {
  const { hosts, ranges } = addressEntries(
    texts.map((text): Interval => {
      const [from = '', to = from] = text.split('-');
      return { family: 'ipv4', from: BigInt(from), to: BigInt(to) };
    }),
  ).ipv4;
  return `${hosts.map(show).join(' ')} | ${ranges.map(show).join(' ')}`;
}

describe('addressEntries', () => {
  test('keeps every address and adds none, each once and in order', () => {
    fc.assert(
      fc.property(fc.array(INTERVAL, { maxLength: 12 }), (intervals) => {
        const entries = addressEntries(intervals);
        for (const family of FAMILIES) {
          const { hosts, ranges } = entries[family];
          for (let value = 0n; value <= LAST + 6n; value += 1n) {
            const address = { family, value };
            const holders = [...hosts, ...ranges].filter((one) => intervalContains(one, address));
            const expected = intervals.some((one) => intervalContains(one, address));
            expect([value, holders.length]).toEqual([value, expected ? 1 : 0]);
            expect([value, entriesContain(entries, address)]).toEqual([value, expected]);
          }
          expect(hosts.every(({ from, to }) => from === to)).toBe(true);
          expect(ranges.every(({ from, to }) => from < to)).toBe(true);
          hosts.slice(1).forEach(({ from }, i) => expect(from).toBeGreaterThan(hosts[i]?.from ?? from));
          ranges.slice(1).forEach(({ from }, i) => expect(from).toBeGreaterThan((ranges[i]?.to ?? from) + 1n));
        }
      }),
    );
  });

  test.each([
    ['adjacent hosts stay hosts', ['2', '1', '3'], '1 2 3 | '],
    ['repeated hosts are one', ['1', '2', '1', '1'], '1 2 | '],
    ['a host inside a range disappears', ['5', '3-6', '3', '6'], ' | 3-6'],
    ['a host beside a range stays', ['2', '3-6', '7'], '2 7 | 3-6'],
    ['overlapping ranges are one', ['1-4', '3-6'], ' | 1-6'],
    ['a range inside another disappears', ['1-9', '3-4', '5-9'], ' | 1-9'],
    ['adjacent ranges are one', ['1-2', '3-4'], ' | 1-4'],
    ['ranges with one address between stay two', ['1-2', '4-5'], ' | 1-2 4-5'],
    ['a host between two ranges keeps them apart', ['1-2', '3', '4-5'], '3 | 1-2 4-5'],
    ['hosts of several ranges disappear', ['1', '2-3', '2', '5', '7-9', '8', '9', '10'], '1 5 10 | 2-3 7-9'],
    ['nothing is nothing', [], ' | '],
  ])('%s', (_what, texts, expected) => {
    expect(entriesOf(...texts)).toBe(expected);
  });

  test('hands out the intervals it was given', () => {
    const intervals = ['1', '3-4', '9'].map((text): Interval => {
      const [from = '', to = from] = text.split('-');
      return { family: 'ipv6', from: BigInt(from), to: BigInt(to) };
    });
    const { hosts, ranges } = addressEntries(intervals.toReversed()).ipv6;
    expect([hosts[0], ranges[0], hosts[1]].map((one, i) => one === intervals[i])).toEqual([true, true, true]);
  });

  test('does not mind the ends of a family', () => {
    const last = (1n << 32n) - 1n;
    const { ipv4, ipv6 } = addressEntries([
      { family: 'ipv4', from: last - 1n, to: last },
      { family: 'ipv4', from: last, to: last },
      { family: 'ipv6', from: 0n, to: 0n },
    ]);
    expect(ipv4).toEqual({ hosts: [], ranges: [{ family: 'ipv4', from: last - 1n, to: last }] });
    expect(ipv6).toEqual({ hosts: [{ family: 'ipv6', from: 0n, to: 0n }], ranges: [] });
  });
});
