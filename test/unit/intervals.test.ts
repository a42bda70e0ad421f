import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatInterval, type Interval } from '#core/model/net/interval.ts';
import { parseInterval } from '#core/read/2-analyze/address-text.ts';
import { parsePorts } from '#core/read/2-analyze/port-text.ts';

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
