import { type Family, highestAddress } from '#core/model/net/address.ts';
import { firstIndex } from '#core/model/net/first-index.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { ENDLESS, type Patience } from '#core/model/policy/patience.ts';
import type { Traffic } from '#core/model/policy/rule.ts';
import type { Addresses } from './address-partition.ts';
import { atomRanges, joinAtoms, type TrafficAtom, trafficAtoms } from './traffic-atoms.ts';

/** Packets of one family: some traffic from or to some addresses. */
export interface Extent {
  readonly traffic: Traffic;
  readonly addresses: Addresses;
}

/**
 * An extent as cells of a grid: every cell in one of the columns (traffic atoms) and one of the rows (address segments).
 * Both lists are pairs of a first and a last number, ascending, disjoint, never neighbours.
 */
export interface Area {
  readonly columns: Int32Array;
  readonly rows: Int32Array;
}

/** All packets of a family, in cells such that each extent holds a cell entirely or not at all. */
export interface Grid {
  readonly family: Family;
  /** The traffic of each column. */
  readonly atoms: readonly TrafficAtom[];
  /** The first address of each row, ascending. */
  readonly starts: readonly bigint[];
  /** One for each extent, in the same order. */
  readonly areas: readonly Area[];
}

/** The steps that sorting and finding one end of an interval costs. */
const STEPS_PER_END = 5;

/** The coarsest grid whose cells each extent holds entirely or not at all. Throws OutOfPatience. */
export function gridOf(extents: readonly Extent[], family: Family, patience: Patience = ENDLESS): Grid {
  // Rules that name one group share its address list, and the work of laying it on the grid.
  const lists = new Set(extents.map(({ addresses }) => addresses));
  for (const list of lists) patience.spend(STEPS_PER_END * list.length);
  for (const { traffic } of extents)
    patience.spend(traffic.kind === 'ports' ? STEPS_PER_END * traffic.ports.length : 1);
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
    const ranges = columns.get(traffic) ?? joinRanges(rangesOf(traffic));
    columns.set(traffic, ranges);
    return { columns: ranges, rows: rows.get(addresses) ?? nothing };
  });
  return { family, atoms, starts, areas };
}

/** The addresses of the rows `first` to `last`. */
export function intervalOfRows({ starts, family }: Grid, first: number, last: number): Interval {
  const next = starts[last + 1];
  return { family, from: starts[first] ?? 0n, to: next === undefined ? highestAddress(family) : next - 1n };
}

/** The traffic of the columns in ascending ranges. */
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
    // A protocol's atoms are neighbours: the first and the last in the range suffice.
    const end = atom.l4Values === undefined ? column : Math.min(last, lastOfProtocol(atoms, column));
    const l4Values =
      atom.l4Values === undefined ? undefined : { from: atom.l4Values.from, to: atoms[end]?.l4Values?.to ?? 0 };
    found.push({ protocols: atom.protocols, l4Values });
    column = end;
  }
  return found;
}

const lastIndices = new WeakMap<readonly TrafficAtom[], readonly number[]>();

/** The index of the last atom of the protocol that the atom at `index` belongs to. */
function lastOfProtocol(atoms: readonly TrafficAtom[], index: number): number {
  const known = lastIndices.get(atoms);
  if (known !== undefined) return known[index] ?? index;
  const lasts: number[] = [];
  for (let at = atoms.length - 1; at >= 0; at -= 1)
    lasts[at] = atoms[at]?.protocols === atoms[at + 1]?.protocols ? (lasts[at + 1] ?? at) : at;
  lastIndices.set(atoms, lasts);
  return lasts[index] ?? index;
}

function startsOf(lists: ReadonlySet<Addresses>, family: Family): readonly bigint[] {
  const highest = highestAddress(family);
  // Not a Set: V8 hashes the low 64 bits of a bigint alone, and those are the same in all IPv6 networks.
  const starts = [0n];
  for (const addresses of lists) {
    if (addresses === 'any') continue;
    for (const { from, to } of addresses) {
      starts.push(from);
      if (to < highest) starts.push(to + 1n);
    }
  }
  if (family === 'ipv6') starts.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  // IPv4 addresses fit in numbers, which sort ten times as fast.
  const ascending = family === 'ipv6' ? starts : [...Float64Array.from(starts, Number).sort()].map(BigInt);
  return ascending.filter((start, index) => start !== ascending[index - 1]);
}

/** The rows of addresses whose ends are ends of rows: pairs as in {@link Area}. `starts` are the first addresses of all rows. */
export function rowsOf(addresses: Addresses, starts: readonly bigint[]): Int32Array {
  if (addresses === 'any') return Int32Array.of(0, starts.length - 1);
  return joinRanges(addresses.map(({ from, to }) => [rowOf(starts, from), rowOf(starts, to)] as const));
}

/** The row that holds an address. */
function rowOf(starts: readonly bigint[], address: bigint): number {
  return firstIndex(1, starts.length, (row) => (starts[row] ?? 0n) > address) - 1;
}

/** Sorts ranges and joins neighbours: pairs as in {@link Area}. */
function joinRanges(ranges: readonly (readonly [number, number])[]): Int32Array {
  const sorted = ranges.toSorted(([a], [b]) => a - b);
  const kept: number[] = [];
  for (const [from, to] of sorted) {
    const last = kept.at(-1);
    if (last !== undefined && from <= last + 1) kept[kept.length - 1] = Math.max(last, to);
    else kept.push(from, to);
  }
  return Int32Array.from(kept);
}
