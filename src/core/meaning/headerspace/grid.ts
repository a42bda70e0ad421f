import { type Family, highestAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { ENDLESS, type Patience } from '#core/model/policy/patience.ts';
import type { Traffic } from '#core/model/policy/rule.ts';
import type { Addresses } from './address-partition.ts';
import { atomRanges, joinAtoms, type TrafficAtom, trafficAtoms } from './traffic-atoms.ts';

/** Packets of one family: traffic, with some addresses at its other end. */
export interface Extent {
  readonly traffic: Traffic;
  readonly addresses: Addresses;
}

/**
 * What an extent is on a grid: columns are classes of traffic, rows are stretches of addresses. Pairs of a first and a
 * last number, ascending, disjoint, never neighbours; the area is every cell in a column and a row of them.
 */
export interface Area {
  readonly columns: Int32Array;
  readonly rows: Int32Array;
}

/** All packets of a family in cells that no extent cuts. */
export interface Grid {
  readonly family: Family;
  /** The traffic of each column. */
  readonly atoms: readonly TrafficAtom[];
  /** The first address of each row, ascending. */
  readonly starts: readonly bigint[];
  /** One an extent, in the same order. */
  readonly areas: readonly Area[];
}

/** What sorting and finding an end among others costs. */
const STEPS_OF_AN_END = 5;

/** The coarsest grid on which each of the extents is made of whole cells. */
export function gridOf(extents: readonly Extent[], family: Family, patience: Patience = ENDLESS): Grid {
  // Rules that name one group share its addresses, and what it costs to lay them on the grid.
  const lists = new Set(extents.map(({ addresses }) => addresses));
  for (const list of lists) patience.spend(STEPS_OF_AN_END * list.length);
  for (const { traffic } of extents)
    patience.spend(traffic.kind === 'ports' ? STEPS_OF_AN_END * traffic.ports.length : 1);
  const atoms = trafficAtoms(
    extents.map(({ traffic }) => traffic),
    family,
  );
  const starts = startsOf(lists, family);
  const rows = new Map([...lists].map((addresses) => [addresses, rowsOf(addresses, starts)]));
  const rangesOf = atomRanges(atoms);
  const columns = new Map<Traffic, Int32Array>();
  const nothing = new Int32Array(0);
  const areas = extents.map(({ traffic, addresses }): Area => {
    const known = columns.get(traffic) ?? joined(rangesOf(traffic));
    columns.set(traffic, known);
    return { columns: known, rows: rows.get(addresses) ?? nothing };
  });
  return { family, atoms, starts, areas };
}

/** The addresses of neighbouring rows. */
export function intervalOfRows({ starts, family }: Grid, first: number, last: number): Interval {
  const next = starts[last + 1];
  return { family, from: starts[first] ?? 0n, to: next === undefined ? highestAddress(family) : next - 1n };
}

/** The traffic of ascending ranges of columns. */
export function trafficOf(
  { atoms }: Pick<Grid, 'atoms'>,
  columns: readonly (readonly [number, number])[],
): readonly TrafficAtom[] {
  return joinAtoms(columns.flatMap(([first, last]) => trafficOfRange(atoms, first, last)));
}

function trafficOfRange(atoms: readonly TrafficAtom[], first: number, last: number): readonly TrafficAtom[] {
  const found: TrafficAtom[] = [];
  for (let column = first; column <= last; column += 1) {
    const atom = atoms[column];
    if (atom === undefined) continue;
    // Of the atoms of a protocol, which are neighbours, none is looked at but the last.
    const end = atom.l4Values === undefined ? column : Math.min(last, lastOfProtocol(atoms, column));
    const l4Values =
      atom.l4Values === undefined ? undefined : { from: atom.l4Values.from, to: atoms[end]?.l4Values?.to ?? 0 };
    found.push({ protocols: atom.protocols, l4Values });
    column = end;
  }
  return found;
}

const lastsOfProtocols = new WeakMap<readonly TrafficAtom[], readonly number[]>();

/** The place of the last class of the protocol that the class in a place is of. */
function lastOfProtocol(atoms: readonly TrafficAtom[], place: number): number {
  const known = lastsOfProtocols.get(atoms);
  if (known !== undefined) return known[place] ?? place;
  const lasts: number[] = [];
  for (let at = atoms.length - 1; at >= 0; at -= 1)
    lasts[at] = atoms[at]?.protocols === atoms[at + 1]?.protocols ? (lasts[at + 1] ?? at) : at;
  lastsOfProtocols.set(atoms, lasts);
  return lasts[place] ?? place;
}

function startsOf(lists: ReadonlySet<Addresses>, family: Family): readonly bigint[] {
  const highest = highestAddress(family);
  // No Set of numbers this large: V8 hashes their last 64 bits alone, which all prefixes have alike.
  const starts = [0n];
  for (const addresses of lists) {
    if (addresses === 'any') continue;
    for (const { from, to } of addresses) {
      starts.push(from);
      if (to < highest) starts.push(to + 1n);
    }
  }
  if (family === 'ipv6') starts.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  // As numbers, which IPv4 addresses fit in, they are sorted ten times as fast.
  const ascending = family === 'ipv6' ? starts : [...Float64Array.from(starts, Number).sort()].map(BigInt);
  return ascending.filter((start, place) => start !== ascending[place - 1]);
}

/** The rows of addresses between which the grid tells, by their first numbers: pairs as an area has them. */
export function rowsOf(addresses: Addresses, starts: readonly bigint[]): Int32Array {
  if (addresses === 'any') return Int32Array.of(0, starts.length - 1);
  return joined(addresses.map(({ from, to }) => [lastUpTo(starts, from), lastUpTo(starts, to)] as const));
}

/** The place of the last of ascending numbers that is not above `value`; the first is not. */
function lastUpTo(ascending: readonly bigint[], value: bigint): number {
  let [begin, end] = [0, ascending.length];
  while (end - begin > 1) {
    const middle = (begin + end) >> 1;
    if ((ascending[middle] ?? 0n) <= value) begin = middle;
    else end = middle;
  }
  return begin;
}

/** Ranges as an area has them. */
function joined(ranges: readonly (readonly [number, number])[]): Int32Array {
  const sorted = ranges.toSorted(([a], [b]) => a - b);
  const kept: number[] = [];
  for (const [from, to] of sorted) {
    const last = kept.at(-1);
    if (last !== undefined && from <= last + 1) kept[kept.length - 1] = Math.max(last, to);
    else kept.push(from, to);
  }
  return Int32Array.from(kept);
}
