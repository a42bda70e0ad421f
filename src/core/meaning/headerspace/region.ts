import type { ListedRange } from '#core/model/nft/listed-table.ts';

/** Addresses of one family: ascending, disjoint ranges. */
export type Region = readonly ListedRange[];

/** The addresses that are in any of the ranges. */
export function union(ranges: readonly ListedRange[]): Region {
  const sorted = ranges.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const joined: ListedRange[] = [];
  for (const next of sorted) {
    const last = joined.at(-1);
    if (last === undefined || next.from > last.to + 1n) joined.push(next);
    else if (next.to > last.to) joined[joined.length - 1] = { from: last.from, to: next.to };
  }
  return joined;
}

/** The addresses that are in both regions. */
export function within(left: Region, right: readonly ListedRange[]): Region {
  const shared: ListedRange[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [left[i], right[j]];
    if (a === undefined || b === undefined) return shared;
    const from = a.from > b.from ? a.from : b.from;
    const to = a.to < b.to ? a.to : b.to;
    if (from <= to) shared.push({ from, to });
    if (a.to < b.to) i += 1;
    else j += 1;
  }
}

/** The addresses of a region that are not in the region `removed`. */
export function without(region: Region, removed: readonly ListedRange[]): Region {
  const left: ListedRange[] = [];
  let first = 0;
  for (const { from, to } of region) {
    let at = from;
    while ((removed[first]?.to ?? to) < from) first += 1;
    for (let j = first; j < removed.length; j += 1) {
      const hole = removed[j];
      if (hole === undefined || hole.from > to) break;
      if (hole.from > at) left.push({ from: at, to: hole.from - 1n });
      at = hole.to + 1n > at ? hole.to + 1n : at;
    }
    if (at <= to) left.push({ from: at, to });
  }
  return left;
}
