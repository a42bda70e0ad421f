import type { Difference } from '#core/meaning/compare/compare-policies.ts';
import { type Family, highestAddress } from '#core/model/net/address.ts';
import { formatInterval, type Interval } from '#core/model/net/interval.ts';

/** Longer lists are cut and their length shown; `--json` has all. */
export const MAX_SHOWN = 12;

/** The remote addresses of a difference: `any IPv4 address but 192.0.2.1`, or a list. */
export function formatRemotes({ remotes, family }: Pick<Difference, 'remotes' | 'family'>): string {
  const any = `any ${family === 'ipv4' ? 'IPv4' : 'IPv6'} address`;
  if (remotes === 'any') return any;
  const others = complement(remotes, family);
  return others.length < remotes.length ? `${any} but ${formatIntervals(others)}` : formatIntervals(remotes);
}

/** The first intervals, and how many more there are. */
export function formatIntervals(intervals: readonly Interval[]): string {
  const shown = intervals.slice(0, MAX_SHOWN).map(formatInterval).join(', ');
  return intervals.length <= MAX_SHOWN ? shown : `${shown} and ${intervals.length - MAX_SHOWN} more`;
}

/** The addresses of a family outside the ascending, disjoint intervals. */
function complement(intervals: readonly Interval[], family: Family): readonly Interval[] {
  const gaps: Interval[] = [];
  let from = 0n;
  for (const interval of intervals) {
    if (from < interval.from) gaps.push({ family, from, to: interval.from - 1n });
    from = interval.to + 1n;
  }
  const highest = highestAddress(family);
  return from <= highest ? [...gaps, { family, from, to: highest }] : gaps;
}
