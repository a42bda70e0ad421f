import type { Family } from '../model/address.ts';
import type { PortRange, Traffic } from '../model/rule.ts';

/** Numbers `from` to `to`, both included. */
export type NumberRange = PortRange;

/** Traffic that no rule of those looked at tells apart, its addresses aside. */
export interface TrafficClass {
  /** IP protocol numbers; more than one only where no rule names any of them. */
  readonly protocols: readonly NumberRange[];
  /** Destination ports of TCP and UDP; 256 times the type plus the code of ICMP; undefined is all there is. */
  readonly parts: NumberRange | undefined;
}

const LAST_PROTOCOL = 255;
const LAST_PART = 65_535;

/** Whether packets of a protocol are told apart further: TCP and UDP by destination port, ICMP by type and code. */
export function hasParts(protocol: number, family: Family): boolean {
  return protocol === 6 || protocol === 17 || protocol === (family === 'ipv4' ? 1 : 58);
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

/** A class, and the places, ascending, of those of some traffics that hold for it. */
export interface ClassMembers {
  readonly one: TrafficClass;
  readonly members: readonly number[];
}

/** As {@link trafficClasses}, with what holds for each. Costs what holds, not each traffic for each class. */
export function classMembers(traffics: readonly Traffic[], family: Family): readonly ClassMembers[] {
  const classes = trafficClasses(traffics, family).map((one) => ({ one, members: [] as number[] }));
  const byProtocol = new Map<number, typeof classes>();
  for (const entry of classes) {
    const [first, second] = entry.one.protocols;
    if (first === undefined || second !== undefined || first.from !== first.to) continue;
    const of = byProtocol.get(first.from) ?? [];
    byProtocol.set(first.from, of);
    of.push(entry);
  }
  traffics.forEach((traffic, index) => {
    if (traffic.kind === 'all') {
      for (const { members } of classes) members.push(index);
      return;
    }
    const ofProtocol = byProtocol.get(traffic.protocol) ?? [];
    if (traffic.kind === 'protocol') {
      for (const { members } of ofProtocol) members.push(index);
      return;
    }
    for (const { from, to } of partsOf(traffic)) {
      for (let at = firstFrom(ofProtocol, from); at < ofProtocol.length; at += 1) {
        const entry = ofProtocol[at];
        if (entry?.one.parts === undefined || entry.one.parts.to > to) break;
        entry.members.push(index);
      }
    }
  });
  return classes;
}

/** The place of the first of a protocol's ascending classes whose parts begin at `from` or behind it. */
function firstFrom(ofProtocol: readonly ClassMembers[], from: number): number {
  let [begin, end] = [0, ofProtocol.length];
  while (begin < end) {
    const middle = (begin + end) >> 1;
    if ((ofProtocol[middle]?.one.parts?.from ?? 0) < from) begin = middle + 1;
    else end = middle;
  }
  return begin;
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
