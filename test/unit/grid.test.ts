import { describe, expect, test } from 'vitest';
import { gridOf, intervalOfRows, trafficOf } from '#core/meaning/headerspace/grid.ts';
import { highestAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { Traffic } from '#core/model/policy/rule.ts';

const ALL: Traffic = { kind: 'all' };
const WEB: Traffic = {
  kind: 'ports',
  protocol: 6,
  ports: [
    { from: 80, to: 80 },
    { from: 443, to: 443 },
  ],
};

describe('rules on a grid', () => {
  test('are made of whole cells, which are joined where they are neighbours', () => {
    const one: Interval = { family: 'ipv4', from: 10n, to: 19n };
    const next: Interval = { family: 'ipv4', from: 20n, to: 29n };
    const grid = gridOf(
      [
        { traffic: WEB, addresses: [next, one] },
        { traffic: ALL, addresses: [next] },
        { traffic: ALL, addresses: 'any' },
        { traffic: WEB, addresses: [] },
      ],
      'ipv4',
    );
    expect(grid.starts).toEqual([0n, 10n, 20n, 30n]);
    expect(grid.areas.map(({ rows }) => [...rows])).toEqual([[1, 2], [2, 2], [0, 3], []]);
    expect(grid.areas.map(({ columns }) => [...columns])).toEqual([
      [1, 1, 3, 3],
      [0, 5],
      [0, 5],
      [1, 1, 3, 3],
    ]);
    expect(intervalOfRows(grid, 1, 2)).toEqual({ family: 'ipv4', from: 10n, to: 29n });
    expect(intervalOfRows(grid, 3, 3).to).toBe(highestAddress('ipv4'));
    expect(trafficOf(grid, [[0, 1]])).toEqual([{ protocols: [{ from: 6, to: 6 }], l4Values: { from: 0, to: 80 } }]);
    expect(trafficOf(grid, [[0, 4]])).toEqual([{ protocols: [{ from: 6, to: 6 }], l4Values: undefined }]);
  });

  test('may be many prefixes of IPv6, whose last 64 bits are alike', () => {
    const addresses = Array.from({ length: 60_000 }, (_, i): Interval => {
      const from = ((0x2001_0db8n << 32n) | BigInt(i * 7)) << 64n;
      return { family: 'ipv6', from, to: from + (1n << 64n) - 1n };
    });
    expect(gridOf([{ traffic: ALL, addresses }], 'ipv6').starts.length).toBe(120_001);
  });
});
