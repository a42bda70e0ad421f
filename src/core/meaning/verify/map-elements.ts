import { type Region, union, within } from '#core/meaning/headerspace/region.ts';
import { firstIndex } from '#core/model/net/first-index.ts';
import type { ListedMapElement, ListedRange } from '#core/model/nft/listed-table.ts';

const sortedElements = new WeakMap<
  readonly ListedMapElement[],
  readonly (ListedMapElement & { readonly key: ListedRange })[]
>();

/** The element of a map whose key holds a number; undefined if there is none. */
export function elementAt(elements: readonly ListedMapElement[], value: bigint): ListedMapElement | undefined {
  const sorted =
    sortedElements.get(elements) ??
    elements
      .flatMap((element) => (typeof element.key === 'string' ? [] : [{ ...element, key: element.key }]))
      .toSorted((a, b) => (a.key.from < b.key.from ? -1 : 1));
  sortedElements.set(elements, sorted);
  const behind = firstIndex(0, sorted.length, (index) => (sorted[index]?.key.from ?? 0n) > value);
  const element = sorted[behind - 1];
  return element !== undefined && value <= element.key.to ? element : undefined;
}

/** A verdict, and the addresses whose packets get it. */
export interface VerdictRegion {
  readonly verdict: ListedMapElement['verdict'];
  readonly region: Region;
}

const groupedElements = new WeakMap<readonly ListedMapElement[], readonly VerdictRegion[]>();

/** The addresses of a region that are keys of a map, by verdict. */
export function regionsOf(elements: readonly ListedMapElement[], region: Region): readonly VerdictRegion[] {
  const groups = groupedElements.get(elements) ?? groupByVerdict(elements);
  groupedElements.set(elements, groups);
  return groups.flatMap(({ verdict, region: keys }) => {
    const matched = within(region, keys);
    return matched.length === 0 ? [] : [{ verdict, region: matched }];
  });
}

function groupByVerdict(elements: readonly ListedMapElement[]): readonly VerdictRegion[] {
  const byVerdict = new Map<
    string,
    { readonly verdict: ListedMapElement['verdict']; readonly ranges: ListedRange[] }
  >();
  for (const { key, verdict } of elements) {
    if (typeof key === 'string') continue;
    const text = 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
    const group = byVerdict.get(text) ?? { verdict, ranges: [] };
    byVerdict.set(text, group);
    group.ranges.push(key);
  }
  return [...byVerdict.values()].map(({ verdict, ranges }) => ({ verdict, region: union(ranges) }));
}
