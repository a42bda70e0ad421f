import type { Address, Family } from './address.ts';
import type { Interval } from './interval.ts';
import { type IntervalBag, type IntervalBags, intervalBags } from './interval-bag.ts';

/**
 * Addresses of one family: `hosts` are single ones, `ranges` have two or more. Each list ascends, and no address is in
 * both or twice. Adjacent hosts stay hosts, since an element of a hash set comes and goes at little cost whatever the
 * set's size; adjacent ranges are one.
 */
export interface AddressEntries {
  readonly hosts: readonly Interval[];
  readonly ranges: readonly Interval[];
}

/** Addresses of both families. */
export type EntriesByFamily = Readonly<Record<Family, AddressEntries>>;

/** The addresses of `intervals`, which may overlap and repeat, stand in any order and be of either family. */
export function addressEntries(intervals: Iterable<Interval>): EntriesByFamily {
  return entriesOfBags(intervalBags(intervals));
}

/** The addresses that bags hold; hands out their own lists where nothing overlaps or repeats. */
export function entriesOfBags({ ipv4, ipv6 }: IntervalBags): EntriesByFamily {
  return { ipv4: disjointEntries(ipv4), ipv6: disjointEntries(ipv6) };
}

function disjointEntries({ hosts, ranges }: IntervalBag): AddressEntries {
  const joined = joinRanges(ranges);
  return { hosts: outside(distinct(hosts), joined), ranges: joined };
}

/** Whether `address` is one of `entries`. */
export function entriesContain(entries: EntriesByFamily, { family, value }: Address): boolean {
  const { hosts, ranges } = entries[family];
  if (hosts[countBelow(hosts, value)]?.from === value) return true;
  const within = ranges[countBelow(ranges, value + 1n) - 1];
  return within !== undefined && value <= within.to;
}

/** The ranges, the overlapping and the adjacent ones as one. The kernel refuses overlapping elements of an interval set. */
function joinRanges(ranges: readonly Interval[]): readonly Interval[] {
  const joined: Interval[] = [];
  let last: Interval | undefined;
  for (const next of ranges) {
    if (last === undefined || next.from > last.to + 1n) joined.push((last = next));
    else if (next.to > last.to) joined[joined.length - 1] = last = { ...last, to: next.to };
  }
  return joined.length === ranges.length ? ranges : joined;
}

function distinct(hosts: readonly Interval[]): readonly Interval[] {
  const isFirst = ({ from }: Interval, index: number): boolean => index === 0 || hosts[index - 1]?.from !== from;
  return hosts.every(isFirst) ? hosts : hosts.filter(isFirst);
}

/** The hosts that are in none of the ranges. Costs a search a range, however many hosts there are. */
function outside(hosts: readonly Interval[], ranges: readonly Interval[]): readonly Interval[] {
  const kept: (readonly Interval[])[] = [];
  let begin = 0;
  for (const { from, to } of ranges) {
    const first = countBelow(hosts, from, begin);
    const host = hosts[first];
    if (host === undefined) break;
    if (host.from > to) continue;
    kept.push(hosts.slice(begin, first));
    begin = countBelow(hosts, to + 1n, first);
  }
  return kept.length === 0 ? hosts : [...kept, hosts.slice(begin)].flat();
}

/** How many of the ascending `intervals` begin below `value`, the first `low` of which are known to. */
function countBelow(intervals: readonly Interval[], value: bigint, low = 0): number {
  let begin = low;
  let end = intervals.length;
  while (begin < end) {
    const middle = (begin + end) >> 1;
    const interval = intervals[middle];
    if (interval !== undefined && interval.from < value) begin = middle + 1;
    else end = middle;
  }
  return begin;
}
