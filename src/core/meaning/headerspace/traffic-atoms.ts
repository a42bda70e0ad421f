import type { Family } from '#core/model/net/address.ts';
import { firstIndex } from '#core/model/net/first-index.ts';
import { selectorOf } from '#core/model/policy/protocol-lookup.ts';
import type { PortRange, Traffic } from '#core/model/policy/rule.ts';

/** Numbers `from` to `to`, both included. */
export type NumberRange = PortRange;

/** Traffic that none of the rules in question tells apart, addresses aside: an atomic predicate (Yang and Lam, 2013). */
export interface TrafficAtom {
  /** IP protocol numbers; more than one only if no rule names any of them. */
  readonly protocols: readonly NumberRange[];
  /** Destination ports, or 256 times the ICMP type plus the code; undefined is all of them. */
  readonly l4Values: NumberRange | undefined;
}

const MAX_PROTOCOL = 255;
const MAX_L4_VALUE = 65_535;

/** Whether rules tell packets of a protocol apart further: by destination port, or by ICMP type and code. */
export function hasL4Values(protocol: number, family: Family): boolean {
  return selectorOf(protocol, family) !== 'none';
}

/** Partitions a family's traffic into the fewest atoms such that each of `traffics` matches an atom entirely or not at all. */
export function trafficAtoms(traffics: readonly Traffic[], family: Family): readonly TrafficAtom[] {
  const starts = new Map<number, Set<number>>();
  for (const traffic of traffics) {
    if (traffic.kind === 'all') continue;
    const ofProtocol = starts.get(traffic.protocol) ?? new Set([0]);
    starts.set(traffic.protocol, ofProtocol);
    for (const { from, to } of l4ValuesOf(traffic)) {
      ofProtocol.add(from);
      ofProtocol.add(to + 1);
    }
  }
  const named = [...starts].toSorted(([a], [b]) => a - b);
  const atoms = named.flatMap(([protocol, ofProtocol]): TrafficAtom[] => {
    const protocols = [{ from: protocol, to: protocol }];
    if (!hasL4Values(protocol, family)) return [{ protocols, l4Values: undefined }];
    const ascending = [...ofProtocol].filter((start) => start <= MAX_L4_VALUE).toSorted((a, b) => a - b);
    return ascending.map((from, i) => ({
      protocols,
      l4Values: { from, to: (ascending[i + 1] ?? MAX_L4_VALUE + 1) - 1 },
    }));
  });
  const others = gaps(named.map(([protocol]) => protocol));
  return others.length === 0 ? atoms : [...atoms, { protocols: others, l4Values: undefined }];
}

/**
 * Returns a function that finds the atoms which a traffic matches, as ranges of their indices; the traffic must be one
 * that the atoms were made from. Costs as much as the traffic names, not a look at each atom.
 */
export function atomRanges(
  atoms: readonly TrafficAtom[],
): (traffic: Traffic) => readonly (readonly [first: number, last: number])[] {
  const byProtocol = indicesByProtocol(atoms);
  return (traffic) => {
    if (traffic.kind === 'all') return [[0, atoms.length - 1]];
    const indices = byProtocol.get(traffic.protocol);
    if (indices === undefined) return [];
    if (traffic.kind === 'protocol') return [[indices.first, indices.last]];
    return l4ValuesOf(traffic).map(
      ({ from, to }) => [indexOfL4Value(atoms, indices, from), indexOfL4Value(atoms, indices, to)] as const,
    );
  };
}

/** Returns a function that finds the index among `atoms` of the one that holds an atom made from more traffics. */
export function atomFinder(atoms: readonly TrafficAtom[]): (part: TrafficAtom) => number {
  const byProtocol = indicesByProtocol(atoms);
  return ({ protocols: [first], l4Values }) => {
    const indices = first === undefined || first.from !== first.to ? undefined : byProtocol.get(first.from);
    // The protocols that no traffic names are the last atom.
    return indices === undefined ? atoms.length - 1 : indexOfL4Value(atoms, indices, l4Values?.from ?? 0);
  };
}

/** The indices of the first and the last atom of a protocol. */
interface AtomIndices {
  readonly first: number;
  last: number;
}

function indicesByProtocol(atoms: readonly TrafficAtom[]): ReadonlyMap<number, Readonly<AtomIndices>> {
  const byProtocol = new Map<number, AtomIndices>();
  atoms.forEach(({ protocols: [range, more] }, index) => {
    if (range === undefined || more !== undefined || range.from !== range.to) return;
    const indices = byProtocol.get(range.from) ?? { first: index, last: index };
    byProtocol.set(range.from, indices);
    indices.last = index;
  });
  return byProtocol;
}

/** The index of the protocol's atom that holds a port, or a type and code. */
function indexOfL4Value(atoms: readonly TrafficAtom[], { first, last }: Readonly<AtomIndices>, value: number): number {
  return firstIndex(first + 1, last + 1, (index) => (atoms[index]?.l4Values?.from ?? 0) > value) - 1;
}

/** An atom, and the indices, ascending, of the traffics that match it. */
export interface AtomRules {
  readonly atom: TrafficAtom;
  readonly rules: readonly number[];
}

/** As {@link trafficAtoms}, with the traffics that match each atom. Costs as much as matches, not every pair of both. */
export function atomsWithRules(traffics: readonly Traffic[], family: Family): readonly AtomRules[] {
  const atoms = trafficAtoms(traffics, family);
  const rules = atoms.map((): number[] => []);
  const rangesOf = atomRanges(atoms);
  traffics.forEach((traffic, rule) => {
    for (const [first, last] of rangesOf(traffic)) {
      for (let index = first; index <= last; index += 1) rules[index]?.push(rule);
    }
  });
  return atoms.map((atom, index) => ({ atom, rules: rules[index] ?? [] }));
}

/** Whether `traffic`, from which the atom was made, matches all of it; otherwise it matches nothing of it. */
export function atomMatches(traffic: Traffic, { protocols: [first], l4Values }: TrafficAtom): boolean {
  if (traffic.kind === 'all') return true;
  if (first?.from !== traffic.protocol || first.to !== traffic.protocol) return false;
  return traffic.kind === 'protocol' || l4ValuesOf(traffic).some(({ from, to }) => isWithin(l4Values, from, to));
}

function isWithin(l4Values: NumberRange | undefined, from: number, to: number): boolean {
  return l4Values !== undefined && from <= l4Values.from && l4Values.to <= to;
}

/** The ports, or the types and codes, that a traffic names; empty if it names none. */
function l4ValuesOf(traffic: Traffic): readonly NumberRange[] {
  switch (traffic.kind) {
    case 'all':
    case 'protocol':
      return [];
    case 'ports':
      return traffic.ports;
    case 'icmp': {
      const first = 256 * traffic.type;
      return traffic.code === 'any'
        ? [{ from: first, to: first + 255 }]
        : [{ from: first + traffic.code, to: first + traffic.code }];
    }
  }
}

/** The protocol numbers that are not among the ascending `named`. */
function gaps(named: readonly number[]): readonly NumberRange[] {
  const ranges: NumberRange[] = [];
  let from = 0;
  for (const protocol of [...named, MAX_PROTOCOL + 1]) {
    if (from < protocol) ranges.push({ from, to: protocol - 1 });
    from = protocol + 1;
  }
  return ranges;
}

/** Joins atoms of one family: neighbouring values to one range, and all values of a protocol to the protocol. */
export function joinAtoms(atoms: readonly TrafficAtom[]): readonly TrafficAtom[] {
  const joined: TrafficAtom[] = [];
  for (const atom of atoms) {
    const last = joined.at(-1);
    const follows =
      last?.l4Values !== undefined &&
      atom.l4Values !== undefined &&
      last.protocols[0]?.from === atom.protocols[0]?.from &&
      last.l4Values.to + 1 === atom.l4Values.from;
    if (follows) joined[joined.length - 1] = { ...last, l4Values: { from: last.l4Values.from, to: atom.l4Values.to } };
    else joined.push(atom);
  }
  return joined.map((atom) =>
    atom.l4Values?.from === 0 && atom.l4Values.to === MAX_L4_VALUE ? { ...atom, l4Values: undefined } : atom,
  );
}

/** Whether joined atoms of one family are all traffic. */
export function isAllTraffic(joined: readonly TrafficAtom[]): boolean {
  if (joined.some(({ l4Values }) => l4Values !== undefined)) return false;
  const protocols = joined.flatMap((atom) => atom.protocols);
  return protocols.reduce((count, { from, to }) => count + to - from + 1, 0) === MAX_PROTOCOL + 1;
}
