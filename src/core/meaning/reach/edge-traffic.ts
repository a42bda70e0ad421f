import type { AllowedColumns } from '#core/meaning/headerspace/allowed-traffic.ts';
import { trafficOf } from '#core/meaning/headerspace/grid.ts';
import { isAllTraffic, type TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import type { Family } from '#core/model/net/address.ts';

/** Traffic; `all` is every protocol, an empty list none, and `except` is all but these. */
export type EdgeTraffic = readonly TrafficAtom[] | 'all' | { readonly except: readonly TrafficAtom[] };

/** Traffic of each family. */
export type FamilyTraffic = Readonly<Record<Family, EdgeTraffic>>;

/** The traffic atoms that are the columns of a grid. */
export interface Columns {
  readonly atoms: readonly TrafficAtom[];
}

/** Whether there is no traffic. */
export function isNothing(traffic: EdgeTraffic): boolean {
  return isList(traffic) && traffic.length === 0;
}

/** The allowed traffic; where protocols that no rule names are allowed, as all traffic but what is denied. */
export function wholeTraffic(grid: Columns, allowed: AllowedColumns): EdgeTraffic {
  const traffic = trafficOf(grid, rangesOf(allowed, 1));
  if (traffic.length > 0 && isAllTraffic(traffic)) return 'all';
  const isNearlyAll = traffic.some(({ protocols }) => protocols.some(({ from, to }) => from < to));
  return isNearlyAll ? { except: trafficOf(grid, rangesOf(allowed, 0)) } : traffic;
}

/**
 * The allowed traffic beyond `known`, which is reported elsewhere. Nothing if there is none beyond; all that is allowed
 * if that is nearly everything.
 */
export function trafficBeyond(grid: Columns, allowed: AllowedColumns, known: AllowedColumns): EdgeTraffic {
  const more = allowed.map((isAllowed, column) => (isAllowed === 1 && known[column] !== 1 ? 1 : 0));
  if (!more.includes(1)) return [];
  const whole = wholeTraffic(grid, allowed);
  return isList(whole) ? trafficOf(grid, rangesOf(more, 1)) : whole;
}

/** The ranges of columns that have this value. */
function rangesOf(allowed: AllowedColumns, value: 0 | 1): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (let first = allowed.indexOf(value); first >= 0; first = allowed.indexOf(value, first)) {
    const end = allowed.indexOf(1 - value, first);
    const last = (end < 0 ? allowed.length : end) - 1;
    ranges.push([first, last]);
    first = last + 1;
  }
  return ranges;
}

function isList(traffic: EdgeTraffic): traffic is readonly TrafficAtom[] {
  return Array.isArray(traffic);
}
