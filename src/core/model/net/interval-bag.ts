import type { Family } from './address.ts';
import { compareIntervals, type Interval } from './interval.ts';

/** Intervals of one family, single addresses apart from longer ones; each list ascends, and may overlap and repeat. */
export interface IntervalBag {
  readonly hosts: readonly Interval[];
  readonly ranges: readonly Interval[];
}

/** Intervals of both families. */
export type IntervalBags = Readonly<Record<Family, IntervalBag>>;

interface OpenBag {
  readonly hosts: Interval[];
  readonly ranges: Interval[];
}

/** Sorts intervals that stand in any order and are of either family. */
export function intervalBags(intervals: Iterable<Interval>): IntervalBags {
  const ipv4: OpenBag = { hosts: [], ranges: [] };
  const ipv6: OpenBag = { hosts: [], ranges: [] };
  for (const interval of intervals) {
    const { hosts, ranges } = interval.family === 'ipv4' ? ipv4 : ipv6;
    (interval.from === interval.to ? hosts : ranges).push(interval);
  }
  for (const list of [ipv4.hosts, ipv4.ranges, ipv6.hosts, ipv6.ranges]) list.sort(compareIntervals);
  return { ipv4, ipv6 };
}

/**
 * The bags after `removed`, each of which they hold as often as it is named, went out and `added` came in. What stays
 * are the same objects, and a list that stays the same list. Costs a copy of the lists that change.
 */
export function changeBags(
  bags: IntervalBags,
  { removed, added }: { readonly removed: readonly Interval[]; readonly added: readonly Interval[] },
): IntervalBags {
  const [out, into] = [intervalBags(removed), intervalBags(added)];
  const change = (family: Family): IntervalBag => ({
    hosts: changeList(bags[family].hosts, out[family].hosts, into[family].hosts),
    ranges: changeList(bags[family].ranges, out[family].ranges, into[family].ranges),
  });
  return { ipv4: change('ipv4'), ipv6: change('ipv6') };
}

function changeList(
  list: readonly Interval[],
  removed: readonly Interval[],
  added: readonly Interval[],
): readonly Interval[] {
  if (removed.length === 0 && added.length === 0) return list;
  const pieces: (readonly Interval[])[] = [];
  let at = 0;
  let [out, into] = [0, 0];
  for (;;) {
    const [gone, come] = [removed[out], added[into]];
    const comes = come !== undefined && (gone === undefined || compareIntervals(come, gone) < 0);
    const next = comes ? come : gone;
    if (next === undefined) break;
    const place = countBefore(list, next, at);
    pieces.push(list.slice(at, place));
    at = place;
    if (comes) {
      pieces.push([next]);
      into += 1;
    } else {
      const found = list[at];
      if (found === undefined || compareIntervals(found, next) !== 0) throw new Error('what is removed is not there');
      at += 1;
      out += 1;
    }
  }
  pieces.push(list.slice(at));
  return pieces.flat();
}

/** How many intervals of the ascending `list` come before `interval`, the first `low` of which are known to. */
function countBefore(list: readonly Interval[], interval: Interval, low: number): number {
  let begin = low;
  let end = list.length;
  while (begin < end) {
    const middle = (begin + end) >> 1;
    const other = list[middle];
    if (other !== undefined && compareIntervals(other, interval) < 0) begin = middle + 1;
    else end = middle;
  }
  return begin;
}
