import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Interval } from '#core/model/net/interval.ts';
import type { AddressMap, AddressSet } from '#core/model/nft/ruleset.ts';
import { elementChange } from '#core/translate/6-change/element-difference.ts';

const itself = (name: string): string => name;

function setOf(values: readonly bigint[]): AddressSet {
  const elements = values.map((value): Interval => ({ family: 'ipv4', from: value, to: value }));
  return { kind: 'addresses', name: 'x', family: 'ipv4', interval: false, elements, comment: '' };
}

function mapOf(entries: readonly (readonly [bigint, string])[]): AddressMap {
  const elements = entries.map(([value, chain]) => ({
    key: { family: 'ipv4' as const, from: value, to: value },
    verdict: { kind: 'goto' as const, chain },
    origin: undefined,
  }));
  return { kind: 'addressMap', name: 'x', family: 'ipv4', interval: false, dynamic: true, elements };
}

function difference(was: AddressSet | AddressMap, set: AddressSet | AddressMap, chain = itself) {
  return elementChange('x.g1', { set: was, chain: itself }, { set, chain });
}

const VALUES = fc
  .uniqueArray(fc.bigInt({ min: 0n, max: 12n }), { maxLength: 13 })
  .map((values) => values.toSorted((a, b) => Number(a - b)));

describe('elementChange', () => {
  test('takes out what is no longer there and brings in what is new, each once', () => {
    fc.assert(
      fc.property(VALUES, VALUES, (was, now) => {
        const change = difference(setOf(was), setOf(now));
        const removed = change?.removed.map(({ interval }) => interval.from) ?? [];
        const added = change?.added.map(({ interval }) => interval.from) ?? [];
        expect(removed).toEqual(was.filter((value) => !now.includes(value)));
        expect(added).toEqual(now.filter((value) => !was.includes(value)));
      }),
    );
  });

  test('of a map changes an element whose verdict is another', () => {
    const change = difference(
      mapOf([
        [1n, 'a'],
        [2n, 'b'],
      ]),
      mapOf([
        [1n, 'a'],
        [2n, 'a'],
      ]),
    );
    const element = (chain: string) => ({
      interval: { family: 'ipv4', from: 2n, to: 2n },
      verdict: { kind: 'goto', chain },
    });
    expect(change).toMatchObject({ removed: [element('b')], added: [element('a')] });
    expect(difference(mapOf([[1n, 'a']]), mapOf([[1n, 'a']]))).toBeUndefined();
  });

  test('of a map changes the elements that lead to a chain made anew', () => {
    const renamed = (name: string): string => (name === 'b' ? 'b.g2' : name);
    const map = mapOf([
      [1n, 'a'],
      [2n, 'b'],
    ]);
    expect(difference(map, map, renamed)?.added.map(({ interval }) => interval.from)).toEqual([2n]);
  });
});
