import type { ListedRange } from '#core/model/nft/listed-table.ts';

/** Addresses of one family, ascending and disjoint. */
export type Region = readonly ListedRange[];

/** All that is in any of the ranges. */
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

/** What two regions share. */
export function within(one: Region, other: readonly ListedRange[]): Region {
  const shared: ListedRange[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [one[i], other[j]];
    if (a === undefined || b === undefined) return shared;
    const from = a.from > b.from ? a.from : b.from;
    const to = a.to < b.to ? a.to : b.to;
    if (from <= to) shared.push({ from, to });
    if (a.to < b.to) i += 1;
    else j += 1;
  }
}

/** What of a region is in none of `gone`, which is a region too. */
export function without(region: Region, gone: readonly ListedRange[]): Region {
  const left: ListedRange[] = [];
  let first = 0;
  for (const { from, to } of region) {
    let at = from;
    while ((gone[first]?.to ?? to) < from) first += 1;
    for (let j = first; j < gone.length; j += 1) {
      const hole = gone[j];
      if (hole === undefined || hole.from > to) break;
      if (hole.from > at) left.push({ from: at, to: hole.from - 1n });
      at = hole.to + 1n > at ? hole.to + 1n : at;
    }
    if (at <= to) left.push({ from: at, to });
  }
  return left;
}
