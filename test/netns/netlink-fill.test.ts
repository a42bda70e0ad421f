import { beforeEach, describe, expect, test } from 'vitest';
import { highestAddress } from '#core/model/net/address.ts';
import type { Element } from '#core/model/nft/element-change.ts';
import { elementText, SETS, type SetSpec, TABLE_TEXT } from './harness-netlink/element-steps.ts';
import { type Namespace, useNamespaces } from './harness-netlink/namespace.ts';

let one: Namespace;
let other: Namespace;
useNamespaces(2, (...made) => {
  [one, other] = made as [Namespace, Namespace];
});
beforeEach(() => {
  for (const namespace of [one, other]) namespace.nft(TABLE_TEXT);
});

describe('a new set that is filled by netlink is the one that nft fills', () => {
  test.each(SETS.map((set) => [set.name, set] as const))('%s', async (name, set) => {
    // More than two transactions of each kind.
    const elements = elementsFor(set, 12_000);
    await one.call('fillSet', { table: 'inet secgroupd', set: name, key: set.key, interval: set.interval }, elements);
    other.nft(`add element inet secgroupd ${name} {\n${elements.map(elementText).join(',\n')}\n}\n`);
    const [byNetlink, byText] = [one, other].map((namespace) => namespace.list('list', 'table', 'inet', 'secgroupd'));
    expect(byNetlink === byText, 'the listings are equal').toBe(true);
    expect(byNetlink?.split('\n').length).toBeGreaterThan(4_000);
  });
});

test('the process goes on while a big set is filled', async () => {
  const spec = { name: 'hosts.ipv4.set.g1', key: 'ipv4', interval: false, isMap: false } as const;
  const set = { table: 'inet secgroupd', set: spec.name, key: spec.key, interval: false } as const;
  expect(await one.call('fillSet', set, elementsFor(spec, 100_000))).toBeGreaterThan(10);
});

test('a set that is not there is told', async () => {
  const set = { table: 'inet secgroupd', set: 'nothing.g1', key: 'ipv4', interval: false } as const;
  const elements = elementsFor({ name: '', key: 'ipv4', interval: false, isMap: false }, 10_000);
  await expect(one.call('fillSet', set, elements)).rejects.toMatchObject({ failure: { errno: 'ENOENT' } });
});

/** Ascending elements; of ranges, each second one touches the next, and the last one ends with the family. */
function elementsFor({ key, interval, isMap }: SetSpec, count: number): readonly Element[] {
  const verdict = isMap ? ({ kind: 'goto', chain: 'two.g1' } as const) : undefined;
  return Array.from({ length: count }, (_, i) => {
    const from = highestAddress(key) - 16n * BigInt(count - i) + 1n;
    const to = !interval ? from : from + (i % 2 === 1 ? 15n : 7n);
    return { interval: { family: key, from, to }, verdict };
  });
}
