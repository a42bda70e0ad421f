import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Addresses, intersect, partitionAddresses } from '#core/meaning/headerspace/address-partition.ts';
import { highestAddress } from '#core/model/net/address.ts';
import { addressEntries } from '#core/model/net/address-entries.ts';

/** So few addresses, and so many rules, that a dozen are about one address. */
const LAST = 20n;

const ADDRESSES: fc.Arbitrary<Addresses> = fc.oneof(
  { weight: 1, arbitrary: fc.constant('any' as const) },
  {
    weight: 40,
    arbitrary: fc
      .array(fc.tuple(fc.bigInt({ min: 0n, max: LAST }), fc.bigInt({ min: 0n, max: 9n })), { maxLength: 3 })
      .map((pairs) => {
        const entries = addressEntries(pairs.map(([from, size]) => ({ family: 'ipv4', from, to: from + size })));
        return [...entries.ipv4.hosts, ...entries.ipv4.ranges];
      }),
  },
);

const RULES = fc.array(ADDRESSES, { maxLength: 30, size: 'max' });

/** The first rule that is about an address, found by looking at each. */
function firstAbout(rules: readonly Addresses[], value: bigint): number | undefined {
  const found = rules.findIndex(
    (about) => about === 'any' || about.some(({ from, to }) => from <= value && value <= to),
  );
  return found < 0 ? undefined : found;
}

test('a line has each address once, in order, with the first rule that is about it', () => {
  fc.assert(
    fc.property(RULES, (rules) => {
      const line = partitionAddresses(rules, 'ipv4');
      expect(line[0]?.from).toBe(0n);
      expect(line.at(-1)?.to).toBe(highestAddress('ipv4'));
      line.forEach(({ from, to, rule }, i) => {
        expect(to).toBeGreaterThanOrEqual(from);
        const next = line[i + 1];
        if (next !== undefined) expect([next.from, next.rule === rule]).toEqual([to + 1n, false]);
      });
      for (let value = 0n; value <= LAST + 12n; value += 1n) {
        const segment = line.find(({ from, to }) => from <= value && value <= to);
        expect([value, segment?.rule]).toEqual([value, firstAbout(rules, value)]);
      }
    }),
  );
});

test('two lines over each other have each address once, with what both say of it', () => {
  fc.assert(
    fc.property(RULES, RULES, (one, other) => {
      const laid = [...intersect(partitionAddresses(one, 'ipv4'), partitionAddresses(other, 'ipv4'))];
      let next = 0n;
      for (const { from, to } of laid) {
        expect(from).toBe(next);
        next = to + 1n;
      }
      expect(next).toBe(highestAddress('ipv4') + 1n);
      for (let value = 0n; value <= LAST + 12n; value += 1n) {
        const segment = laid.find(({ from, to }) => from <= value && value <= to);
        expect([segment?.left, segment?.right]).toEqual([firstAbout(one, value), firstAbout(other, value)]);
      }
    }),
  );
});
