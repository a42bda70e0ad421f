import type { Family } from '#core/model/net/address.ts';
import type { PortRange, Traffic } from '#core/model/policy/rule.ts';
import { selectorOf } from '#core/model/policy/protocol-lookup.ts';

/** Numbers `from` to `to`, both included. */
export type NumberRange = PortRange;

/** Traffic that no rule of those looked at tells apart, its addresses aside. */
export interface TrafficClass {
  /** IP protocol numbers; more than one only where no rule names any of them. */
  readonly protocols: readonly NumberRange[];
  /** Destination ports of protocols with ports; 256 times the type plus the code of ICMP; undefined is all there is. */
  readonly parts: NumberRange | undefined;
}

const LAST_PROTOCOL = 255;
const LAST_PART = 65_535;

/** Whether packets of a protocol are told apart further: by destination port, or by ICMP type and code. */
export function hasParts(protocol: number, family: Family): boolean {
  return selectorOf(protocol, family) !== 'none';
}

/** The least classes of all traffic of a family by which every one of `traffics` holds for all of a class, or for none. */
export function trafficClasses(traffics: readonly Traffic[], family: Family): readonly TrafficClass[] {
  const starts = new Map<number, Set<number>>();
  for (const traffic of traffics) {
    if (traffic.kind === 'all') continue;
    const ofProtocol = starts.get(traffic.protocol) ?? new Set([0]);
    starts.set(traffic.protocol, ofProtocol);
    for (const { from, to } of partsOf(traffic)) {
      ofProtocol.add(from);
      ofProtocol.add(to + 1);
    }
  }
  const named = [...starts].toSorted(([a], [b]) => a - b);
  const classes = named.flatMap(([protocol, ofProtocol]): TrafficClass[] => {
    const protocols = [{ from: protocol, to: protocol }];
    if (!hasParts(protocol, family)) return [{ protocols, parts: undefined }];
    const ascending = [...ofProtocol].filter((start) => start <= LAST_PART).toSorted((a, b) => a - b);
    return ascending.map((from, i) => ({ protocols, parts: { from, to: (ascending[i + 1] ?? LAST_PART + 1) - 1 } }));
  });
  const others = gaps(named.map(([protocol]) => protocol));
  return others.length === 0 ? classes : [...classes, { protocols: others, parts: undefined }];
}

/**
 * Which of `classes`, by the places of the first and the last of neighbours, a traffic by which they were made holds for.
 * Costs what the traffic names, not a look at each class.
 */
export function classRanges(
  classes: readonly TrafficClass[],
): (traffic: Traffic) => readonly (readonly [first: number, last: number])[] {
  const byProtocol = placesByProtocol(classes);
  return (traffic) => {
    if (traffic.kind === 'all') return [[0, classes.length - 1]];
    const own = byProtocol.get(traffic.protocol);
    if (own === undefined) return [];
    if (traffic.kind === 'protocol') return [[own.first, own.last]];
    return partsOf(traffic).map(
      ({ from, to }) => [placeAmong(classes, own, from), placeAmong(classes, own, to)] as const,
    );
  };
}

/** The place among `classes`, made by some traffics, of the class that one made by these traffics and others is a part of. */
export function classFinder(classes: readonly TrafficClass[]): (part: TrafficClass) => number {
  const byProtocol = placesByProtocol(classes);
  return ({ protocols: [first], parts }) => {
    const own = first === undefined || first.from !== first.to ? undefined : byProtocol.get(first.from);
    // Protocols that no traffic names are the last class.
    return own === undefined ? classes.length - 1 : placeAmong(classes, own, parts?.from ?? 0);
  };
}

/** The places of the first and the last class of a protocol. */
interface Places {
  readonly first: number;
  last: number;
}

function placesByProtocol(classes: readonly TrafficClass[]): ReadonlyMap<number, Readonly<Places>> {
  const byProtocol = new Map<number, Places>();
  classes.forEach(({ protocols: [one, other] }, place) => {
    if (one === undefined || other !== undefined || one.from !== one.to) return;
    const of = byProtocol.get(one.from) ?? { first: place, last: place };
    byProtocol.set(one.from, of);
    of.last = place;
  });
  return byProtocol;
}

/** The place of the last class of a protocol whose parts begin at `part` or before it. */
function placeAmong(classes: readonly TrafficClass[], { first, last }: Readonly<Places>, part: number): number {
  let [begin, end] = [first, last + 1];
  while (end - begin > 1) {
    const middle = (begin + end) >> 1;
    if ((classes[middle]?.parts?.from ?? 0) <= part) begin = middle;
    else end = middle;
  }
  return begin;
}

/** A class, and the places, ascending, of those of some traffics that hold for it. */
export interface ClassMembers {
  readonly one: TrafficClass;
  readonly members: readonly number[];
}

/** As {@link trafficClasses}, with what holds for each. Costs what holds, not each traffic for each class. */
export function classMembers(traffics: readonly Traffic[], family: Family): readonly ClassMembers[] {
  const classes = trafficClasses(traffics, family).map((one) => ({ one, members: [] as number[] }));
  const rangesOf = classRanges(classes.map(({ one }) => one));
  traffics.forEach((traffic, index) => {
    for (const [first, last] of rangesOf(traffic)) {
      for (let place = first; place <= last; place += 1) classes[place]?.members.push(index);
    }
  });
  return classes;
}

/** Whether `traffic`, by which the class was made, holds for all of it; it holds for none of it else. */
export function classMatches(traffic: Traffic, { protocols: [first], parts }: TrafficClass): boolean {
  if (traffic.kind === 'all') return true;
  if (first?.from !== traffic.protocol || first.to !== traffic.protocol) return false;
  return traffic.kind === 'protocol' || partsOf(traffic).some(({ from, to }) => isWithin(parts, from, to));
}

function isWithin(parts: NumberRange | undefined, from: number, to: number): boolean {
  return parts !== undefined && from <= parts.from && parts.to <= to;
}

/** What a traffic says of ports, or of types and codes; nothing where it says nothing of them. */
function partsOf(traffic: Traffic): readonly NumberRange[] {
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
  for (const protocol of [...named, LAST_PROTOCOL + 1]) {
    if (from < protocol) ranges.push({ from, to: protocol - 1 });
    from = protocol + 1;
  }
  return ranges;
}

/** Classes of one family put together again: neighbouring parts as one, and all of a protocol's parts as the protocol. */
export function joinClasses(classes: readonly TrafficClass[]): readonly TrafficClass[] {
  const joined: TrafficClass[] = [];
  for (const one of classes) {
    const last = joined.at(-1);
    const follows =
      last?.parts !== undefined &&
      one.parts !== undefined &&
      last.protocols[0]?.from === one.protocols[0]?.from &&
      last.parts.to + 1 === one.parts.from;
    if (follows) joined[joined.length - 1] = { ...last, parts: { from: last.parts.from, to: one.parts.to } };
    else joined.push(one);
  }
  return joined.map((one) =>
    one.parts?.from === 0 && one.parts.to === LAST_PART ? { ...one, parts: undefined } : one,
  );
}

/** Whether classes of one family are all the traffic there is. */
export function isAllTraffic(joined: readonly TrafficClass[]): boolean {
  if (joined.some(({ parts }) => parts !== undefined)) return false;
  const protocols = joined.flatMap((one) => one.protocols);
  return protocols.reduce((count, { from, to }) => count + to - from + 1, 0) === LAST_PROTOCOL + 1;
}
