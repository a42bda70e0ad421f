import { type Family, highestAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { LowestActive } from './lowest-active.ts';

/** The addresses that a rule matches: intervals that do not overlap, or every address of the family. */
export type Addresses = readonly Interval[] | 'any';

/** Neighbouring addresses of a family that one rule decides: the first that matches them. */
export interface AddressSegment {
  readonly from: bigint;
  readonly to: bigint;
  /** The rule's index in deciding order; undefined if no rule matches these addresses. */
  readonly rule: number | undefined;
}

interface IntervalEnd {
  readonly at: bigint;
  readonly rule: number;
  readonly opens: boolean;
}

/**
 * Partitions all addresses of a family, ascending, by the rule that decides each: a sweep over the ends of intervals.
 * `addresses` has one entry for each rule, in deciding order.
 */
export function partitionAddresses(addresses: readonly Addresses[], family: Family): readonly AddressSegment[] {
  const firstAny = addresses.indexOf('any');
  const catchAll = firstAny < 0 ? undefined : firstAny;
  const ends: IntervalEnd[] = [];
  addresses.slice(0, catchAll).forEach((intervals, rule) => {
    if (intervals === 'any') return;
    for (const { from, to } of intervals)
      ends.push({ at: from, rule, opens: true }, { at: to + 1n, rule, opens: false });
  });
  ends.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const segments: AddressSegment[] = [];
  const active = new LowestActive(addresses.length);
  let from = 0n;
  const closeSegment = (to: bigint): void => {
    if (to < from) return;
    const rule = active.first() ?? catchAll;
    const last = segments.at(-1);
    if (last !== undefined && last.rule === rule) segments[segments.length - 1] = { ...last, to };
    else segments.push({ from, to, rule });
    from = to + 1n;
  };
  for (const { at, rule, opens } of ends) {
    closeSegment(at - 1n);
    active.change(rule, opens ? 1 : -1);
  }
  closeSegment(highestAddress(family));
  return segments;
}

/** Addresses that one rule decides in each of two partitions of a family. */
export interface SegmentPair {
  readonly from: bigint;
  readonly to: bigint;
  readonly left: number | undefined;
  readonly right: number | undefined;
}

/** The common refinement of two partitions of one family, ascending. */
export function* intersect(left: readonly AddressSegment[], right: readonly AddressSegment[]): Generator<SegmentPair> {
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [left[i], right[j]];
    if (a === undefined || b === undefined) return;
    const from = a.from > b.from ? a.from : b.from;
    const to = a.to < b.to ? a.to : b.to;
    yield { from, to, left: a.rule, right: b.rule };
    if (a.to === to) i += 1;
    if (b.to === to) j += 1;
  }
}
