import type { Family } from '#core/model/net/address.ts';
import type { PortRange, Traffic } from '#core/model/policy/rule.ts';
import { selectorOf } from '#core/model/policy/protocol-lookup.ts';

/** Numbers `from` to `to`, both included. */
export type NumberRange = PortRange;

/** Traffic that no rule of those looked at tells apart, its addresses aside. */
export interface TrafficAtom {
  /** IP protocol numbers; more than one only where no rule names any of them. */
  readonly protocols: readonly NumberRange[];
  /** Destination ports of protocols with ports; 256 times the type plus the code of ICMP; undefined is all there is. */
  readonly l4Values: NumberRange | undefined;
}

const MAX_PROTOCOL = 255;
const MAX_L4_VALUE = 65_535;

/** Whether packets of a protocol are told apart further: by destination port, or by ICMP type and code. */
export function hasL4Values(protocol: number, family: Family): boolean {
  return selectorOf(protocol, family) !== 'none';
}

/** The least classes of all traffic of a family by which every one of `traffics` holds for all of a class, or for none. */
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
  const classes = named.flatMap(([protocol, ofProtocol]): TrafficAtom[] => {
    const protocols = [{ from: protocol, to: protocol }];
    if (!hasL4Values(protocol, family)) return [{ protocols, l4Values: undefined }];
    const ascending = [...ofProtocol].filter((start) => start <= MAX_L4_VALUE).toSorted((a, b) => a - b);
    return ascending.map((from, i) => ({
      protocols,
      l4Values: { from, to: (ascending[i + 1] ?? MAX_L4_VALUE + 1) - 1 },
    }));
  });
  const others = gaps(named.map(([protocol]) => protocol));
  return others.length === 0 ? classes : [...classes, { protocols: others, l4Values: undefined }];
}

/**
 * Which of `classes`, by the places of the first and the last of neighbours, a traffic by which they were made holds for.
 * Costs what the traffic names, not a look at each class.
 */
export function atomRanges(
  classes: readonly TrafficAtom[],
): (traffic: Traffic) => readonly (readonly [first: number, last: number])[] {
  const byProtocol = placesByProtocol(classes);
  return (traffic) => {
    if (traffic.kind === 'all') return [[0, classes.length - 1]];
    const own = byProtocol.get(traffic.protocol);
    if (own === undefined) return [];
    if (traffic.kind === 'protocol') return [[own.first, own.last]];
    return l4ValuesOf(traffic).map(
      ({ from, to }) => [placeAmong(classes, own, from), placeAmong(classes, own, to)] as const,
    );
  };
}

/** The place among `classes`, made by some traffics, of the class that one made by these traffics and others is a part of. */
export function atomFinder(classes: readonly TrafficAtom[]): (part: TrafficAtom) => number {
  const byProtocol = placesByProtocol(classes);
  return ({ protocols: [first], l4Values }) => {
    const own = first === undefined || first.from !== first.to ? undefined : byProtocol.get(first.from);
    // Protocols that no traffic names are the last class.
    return own === undefined ? classes.length - 1 : placeAmong(classes, own, l4Values?.from ?? 0);
  };
}

/** The places of the first and the last class of a protocol. */
interface Places {
  readonly first: number;
  last: number;
}

function placesByProtocol(classes: readonly TrafficAtom[]): ReadonlyMap<number, Readonly<Places>> {
  const byProtocol = new Map<number, Places>();
  classes.forEach(({ protocols: [atom, other] }, place) => {
    if (atom === undefined || other !== undefined || atom.from !== atom.to) return;
    const of = byProtocol.get(atom.from) ?? { first: place, last: place };
    byProtocol.set(atom.from, of);
    of.last = place;
  });
  return byProtocol;
}

/** The place of the last class of a protocol whose parts begin at `part` or before it. */
function placeAmong(classes: readonly TrafficAtom[], { first, last }: Readonly<Places>, part: number): number {
  let [begin, end] = [first, last + 1];
  while (end - begin > 1) {
    const middle = (begin + end) >> 1;
    if ((classes[middle]?.l4Values?.from ?? 0) <= part) begin = middle;
    else end = middle;
  }
  return begin;
}

/** A class, and the places, ascending, of those of some traffics that hold for it. */
export interface AtomRules {
  readonly atom: TrafficAtom;
  readonly rules: readonly number[];
}

/** As {@link trafficAtoms}, with what holds for each. Costs what holds, not each traffic for each class. */
export function atomsWithRules(traffics: readonly Traffic[], family: Family): readonly AtomRules[] {
  const atoms = trafficAtoms(traffics, family).map((atom) => ({ atom, rules: [] as number[] }));
  const rangesOf = atomRanges(atoms.map(({ atom }) => atom));
  traffics.forEach((traffic, index) => {
    for (const [first, last] of rangesOf(traffic)) {
      for (let place = first; place <= last; place += 1) atoms[place]?.rules.push(index);
    }
  });
  return atoms;
}

/** Whether `traffic`, by which the class was made, holds for all of it; it holds for none of it else. */
export function atomMatches(traffic: Traffic, { protocols: [first], l4Values }: TrafficAtom): boolean {
  if (traffic.kind === 'all') return true;
  if (first?.from !== traffic.protocol || first.to !== traffic.protocol) return false;
  return traffic.kind === 'protocol' || l4ValuesOf(traffic).some(({ from, to }) => isWithin(l4Values, from, to));
}

function isWithin(parts: NumberRange | undefined, from: number, to: number): boolean {
  return parts !== undefined && from <= parts.from && parts.to <= to;
}

/** What a traffic says of ports, or of types and codes; nothing where it says nothing of them. */
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

/** Classes of one family put together again: neighbouring parts as one, and all of a protocol's parts as the protocol. */
export function joinAtoms(classes: readonly TrafficAtom[]): readonly TrafficAtom[] {
  const joined: TrafficAtom[] = [];
  for (const one of classes) {
    const last = joined.at(-1);
    const follows =
      last?.l4Values !== undefined &&
      one.l4Values !== undefined &&
      last.protocols[0]?.from === one.protocols[0]?.from &&
      last.l4Values.to + 1 === one.l4Values.from;
    if (follows) joined[joined.length - 1] = { ...last, l4Values: { from: last.l4Values.from, to: one.l4Values.to } };
    else joined.push(one);
  }
  return joined.map((one) =>
    one.l4Values?.from === 0 && one.l4Values.to === MAX_L4_VALUE ? { ...one, l4Values: undefined } : one,
  );
}

/** Whether classes of one family are all the traffic there is. */
export function isAllTraffic(joined: readonly TrafficAtom[]): boolean {
  if (joined.some(({ l4Values }) => l4Values !== undefined)) return false;
  const protocols = joined.flatMap((one) => one.protocols);
  return protocols.reduce((count, { from, to }) => count + to - from + 1, 0) === MAX_PROTOCOL + 1;
}
