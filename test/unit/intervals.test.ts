import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseInterval } from '../../src/2-analyze/address-text.ts';
import { parsePorts } from '../../src/2-analyze/port-text.ts';
import { formatInterval, type Interval, intervalContains, mergeIntervals } from '../../src/model/interval.ts';

/** So few addresses that intervals overlap, touch and leave gaps of one all the time. */
const LAST = 24n;

const INTERVAL: fc.Arbitrary<Interval> = fc
  .tuple(
    fc.constantFrom('ipv4' as const, 'ipv6' as const),
    fc.bigInt({ min: 0n, max: LAST }),
    fc.bigInt({ min: 0n, max: 4n }),
  )
  .map(([family, from, size]) => ({ family, from, to: from + size }));

describe('mergeIntervals', () => {
  test('keeps every address and adds none, in disjoint intervals with gaps between them', () => {
    fc.assert(
      fc.property(fc.array(INTERVAL, { maxLength: 12 }), (intervals) => {
        const merged = mergeIntervals(intervals);
        for (const family of ['ipv4', 'ipv6'] as const) {
          for (let value = 0n; value <= LAST + 6n; value += 1n) {
            const address = { family, value };
            expect([value, merged.some((one) => intervalContains(one, address))]).toEqual([
              value,
              intervals.some((one) => intervalContains(one, address)),
            ]);
          }
        }
        merged.slice(1).forEach((next, i) => {
          const before = merged[i];
          if (before?.family === next.family) expect(next.from).toBeGreaterThan(before.to + 1n);
        });
      }),
    );
  });

  test('does not mind neighbours at the ends of a family', () => {
    const last = (1n << 32n) - 1n;
    expect(
      mergeIntervals([
        { family: 'ipv4', from: last, to: last },
        { family: 'ipv6', from: 0n, to: 0n },
      ]),
    ).toHaveLength(2);
    expect(
      mergeIntervals([
        { family: 'ipv4', from: last - 1n, to: last },
        { family: 'ipv4', from: last, to: last },
      ]),
    ).toEqual([{ family: 'ipv4', from: last - 1n, to: last }]);
  });
});

describe('formatInterval', () => {
  test('writes what parseInterval reads back', () => {
    const anywhere = fc.oneof(
      fc.tuple(
        fc.constant('ipv4' as const),
        fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }),
        fc.bigInt({ min: 0n, max: (1n << 32n) - 1n }),
      ),
      fc.tuple(
        fc.constant('ipv6' as const),
        fc.bigInt({ min: 1n << 64n, max: (1n << 128n) - 1n }),
        fc.bigInt({ min: 1n << 64n, max: (1n << 128n) - 1n }),
      ),
    );
    fc.assert(
      fc.property(anywhere, ([family, a, b]) => {
        const interval: Interval = { family, from: a < b ? a : b, to: a < b ? b : a };
        expect(parseInterval(formatInterval(interval))).toEqual({ kind: 'interval', interval, normalised: undefined });
      }),
    );
  });
});

describe('parsePorts', () => {
  test('keeps every port and adds none', () => {
    const range = fc
      .tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 4 }))
      .map(([from, size]) => ({ from, to: from + size }));
    fc.assert(
      fc.property(fc.array(range, { minLength: 1, maxLength: 8 }), (ranges) => {
        const { ports, problems } = parsePorts(ranges.map(({ from, to }) => `${from}-${to}`));
        expect(problems).toEqual([]);
        for (let port = 1; port <= 36; port += 1) {
          const within = ({ from, to }: { from: number; to: number }): boolean => from <= port && port <= to;
          expect([port, ports.some(within)]).toEqual([port, ranges.some(within)]);
        }
      }),
    );
  });
});
