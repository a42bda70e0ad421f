import { FAMILIES, type Family } from '../model/address.ts';
import type { FoundRange, FoundRule, FoundStep, FoundTable } from '../model/found-table.ts';
import type { HostPolicy } from '../model/host.ts';
import { isWholeFamily } from '../model/interval.ts';
import type { InterfacePattern } from '../model/names.ts';
import type { Packet } from '../model/packet.ts';
import { ICMP_REQUEST_OF_REPLY, PLATFORM_FLOWS } from '../model/platform.ts';
import type { Action, Direction, Traffic } from '../model/rule.ts';
import { addressLine, overlay, type Stretch } from './address-line.ts';
import { evaluate } from './evaluate.ts';
import { type Decider, deciderAt, interfaceClasses, judging, lineOf, type Side, sideOf, upToAny } from './sides.ts';
import { type Judged, judgeByTable, type PacketShape } from './table-meaning.ts';
import { hasParts, classMembers, type TrafficClass } from './traffic-classes.ts';
import { placeOn, witnessOf } from './witness.ts';

/** Packets that a table judges otherwise than the policy says. */
export interface TableDifference {
  /** The interface, or the glob of them; undefined is every one that the policy does not name. */
  readonly interface: string | undefined;
  readonly direction: Direction;
  readonly family: Family;
  /** What conntrack says of them. */
  readonly state: Packet['state'];
  readonly traffic: TrafficClass;
  readonly remote: FoundRange;
  readonly expected: Pick<Decider, 'action' | 'rule'>;
  readonly found: Action;
  readonly witness: Packet;
}

/** What of a table is not as the policy says. */
export interface TableComparison {
  readonly differences: readonly TableDifference[];
  /** Rules of which it cannot be told what they do. */
  readonly unknown: readonly FoundRule[];
  /** How many classes of packets were compared, each for all addresses. */
  readonly compared: number;
}

const DIRECTIONS: readonly Direction[] = ['inbound', 'outbound'];
const SOURCE_PORT = 50_000;
const HOP_LIMIT = 64;

/**
 * Follows every packet of new flows, and of each other state that conntrack knows, through a table, and compares with what
 * the policy says: exact set arithmetic over interface, family, protocol, port or ICMP type and code, and address. Of one
 * class of packets the first difference is told. Built-in traffic is followed by examples.
 */
export function compareTable(policy: HostPolicy, table: FoundTable): TableComparison {
  const differences: TableDifference[] = [];
  const unknown = new Set<FoundRule>();
  let compared = 0;
  const traffics = trafficsOf(table);
  const names = interfacesOf(policy, table);
  for (const { named, name } of names) {
    for (const direction of DIRECTIONS) {
      for (const family of FAMILIES) {
        const place: Place = { policy, named, name, direction, family };
        const sides = sidesAt(place);
        const { invalid, isOpen } = sides;
        const tested = traffics[family];
        const lists = [
          tested,
          ...[sides.new, sides.inbound].map(({ candidates }) => candidates.map(({ traffic }) => traffic)),
        ];
        const lines = new Map<string, readonly Stretch[]>();
        for (const { one, members } of classMembers(lists.flat(), family)) {
          const judges = {
            new: judgesAmong(sides.new, members, tested.length, { lines, family }),
            inbound: judgesAmong(sides.inbound, members, tested.length + sides.new.candidates.length, {
              lines,
              family,
            }),
            outbound: sides.new,
            invalid,
            isOpen,
          };
          for (const scene of SCENES) {
            const expected = scene.expected(judges, one, place);
            if (expected === undefined) continue;
            compared += 1;
            const shape = shapeOf(place, one, scene);
            const verdict = judgeByTable(table, shape);
            for (const rule of verdict.unknown) unknown.add(rule);
            const difference = firstDifference(expected, verdict.line);
            if (difference === undefined) continue;
            const { from, to } = difference;
            const remote = { family, from, to };
            const about = {
              direction,
              family,
              traffic: [one],
              remotes: isWholeFamily(remote) ? 'any' : [remote],
            } as const;
            const witness = witnessOf(about, { interface: name, local: { family, value: shape.local } });
            differences.push({
              interface: named,
              direction,
              family,
              state: scene.packetState,
              traffic: one,
              remote: { from, to },
              expected: difference.expected,
              found: difference.found,
              witness: { ...witness, state: scene.packetState },
            });
          }
        }
      }
    }
  }
  differences.push(...platformDifferences(policy, table, names));
  return { differences, unknown: [...unknown], compared };
}

interface Place {
  readonly policy: HostPolicy;
  readonly named: string | undefined;
  readonly name: string;
  readonly direction: Direction;
  readonly family: Family;
}

interface NamedInterface {
  /** A name or a glob; undefined is every interface that neither the policy nor the table names. */
  readonly named: string | undefined;
  /** One of them. */
  readonly name: string;
}

/** The interfaces that the policy or the table tells apart. */
function interfacesOf(policy: HostPolicy, table: FoundTable): readonly NamedInterface[] {
  const nobody = { groups: [], invalid: 'drop', inbound: [], outbound: [] } as const;
  const own = new Set<string>(policy.bindings.map(({ pattern }) => pattern));
  const others = [...namesIn(table)].filter((name) => !own.has(name));
  const isGlob = (pattern: string): number => (pattern.endsWith('*') ? 1 : 0);
  const bindings = [...policy.bindings, ...others.map((name) => ({ ...nobody, pattern: name as InterfacePattern }))];
  bindings.sort((a, b) => isGlob(a.pattern) - isGlob(b.pattern) || b.pattern.length - a.pattern.length);
  const all: HostPolicy = { ...policy, bindings };
  return interfaceClasses(all).map((named) => ({
    named,
    name: named === undefined ? unnamed(all) : placeOn(named, all, 'ipv4').interface,
  }));
}

/** The names and globs of interfaces that rules look for. */
function namesIn({ chains, sets, maps }: FoundTable): ReadonlySet<string> {
  const names = new Set<string>();
  for (const step of [...chains.values()].flatMap(({ rules }) => rules.flatMap(({ steps }) => steps))) {
    if (step.kind === 'test' && /^[io]ifname$/.test(step.field)) {
      const values = 'set' in step.values ? sets.get(step.values.set) : step.values;
      for (const name of values?.kind === 'names' ? values.names : []) names.add(name);
    }
    if (step.kind === 'map' && /^[io]ifname$/.test(step.field)) {
      const elements = step.map === undefined ? step.elements : (maps.get(step.map) ?? []);
      for (const { key } of elements) if (typeof key === 'string') names.add(key);
    }
  }
  return names;
}

/** A name that no pattern is about. */
function unnamed({ bindings }: HostPolicy): string {
  const names = Array.from({ length: bindings.length + 1 }, (_, i) => `other${i}`);
  const isNamed = (name: string): boolean =>
    bindings.some(({ pattern }) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name));
  return names.find((name) => !isNamed(name)) ?? 'other';
}

interface Sides {
  /** What judges new flows, built-in traffic that is told by its addresses first. */
  readonly new: Side;
  /** What judges the flows that replies belong to. */
  readonly inbound: Side;
  /** Whether the policy says nothing of the interface, and lets everything pass. */
  readonly isOpen: boolean;
  readonly invalid: 'drop' | 'match';
}

/** What judges one class of traffic. */
interface Judges extends Pick<Sides, 'isOpen' | 'invalid'> {
  readonly new: ClassJudges;
  readonly inbound: ClassJudges;
  /** What judges all that the host sends. */
  readonly outbound: Side;
}

interface ClassJudges {
  readonly side: Side;
  readonly line: () => readonly Stretch[];
}

/** Those of a side that are among `members`, of which the side's own begin at `begin`. */
function judgesAmong(
  { candidates, rest }: Side,
  members: readonly number[],
  begin: number,
  { lines, family }: { readonly lines: Map<string, readonly Stretch[]>; readonly family: Family },
): ClassJudges {
  const own = members.filter((member) => candidates[member - begin] !== undefined);
  const side = upToAny({ candidates: own.flatMap((member) => candidates[member - begin] ?? []), rest });
  return {
    side,
    line() {
      // Most classes are judged like others.
      const key = own.join();
      const line = lines.get(key) ?? lineOf(side, family);
      lines.set(key, line);
      return line;
    },
  };
}

function sidesAt({ policy, named, direction, family }: Place): Sides {
  const own = sideOf(policy, named, { direction, family });
  const { reason } = own.rest;
  const builtIn = PLATFORM_FLOWS.filter(
    (flow) => flow.direction === direction && flow.family === family && policy.platform[flow.name],
  ).flatMap(({ match, source }): readonly Side['candidates'][number][] =>
    match.kind !== 'icmpv6' || match.hopLimit !== undefined || direction === 'outbound'
      ? []
      : match.types.map((type) => ({
          traffic: { kind: 'icmp', protocol: 58, type, code: 'any' },
          addresses: source ?? 'any',
          meaning: '',
          decider: { action: 'allow', reason: 'rule', rule: undefined },
        })),
  );
  const binding = policy.bindings.find(({ pattern }) => pattern === named);
  return {
    new: { ...own, candidates: reason === 'unmanaged' ? [] : [...builtIn, ...own.candidates] },
    inbound: sideOf(policy, named, { direction: 'inbound', family }),
    isOpen: reason === 'unmanaged',
    invalid: binding?.invalid ?? 'drop',
  };
}

/** A line of addresses, and who decides where. */
interface Expected {
  readonly stretches: readonly Stretch[];
  readonly deciderAt: (place: number | undefined) => Pick<Decider, 'action' | 'rule'>;
}

interface Scene {
  readonly state: PacketShape['state'];
  readonly flowDirection: PacketShape['flowDirection'];
  readonly packetState: Packet['state'];
  /** What the policy says; undefined where the scene is none of the class. */
  readonly expected: (judges: Judges, one: TrafficClass, place: Place) => Expected | undefined;
}

const byRules = ({ new: { side, line } }: Judges): Expected => ({
  stretches: line(),
  deciderAt: (at) => deciderAt(side, at),
});

const always =
  (action: Action) =>
  ({ isOpen }: Pick<Judges, 'isOpen'>, { family }: Place): Expected => ({
    stretches: addressLine([], family),
    deciderAt: () => ({ action: isOpen ? 'allow' : action, rule: undefined }),
  });

const SCENES: readonly Scene[] = [
  { state: 'new', flowDirection: 'original', packetState: 'new', expected: byRules },
  {
    state: 'established',
    flowDirection: 'original',
    packetState: 'established',
    expected: (judges, _, place) => (place.direction === 'outbound' ? always('allow')(judges, place) : byRules(judges)),
  },
  {
    state: 'established',
    flowDirection: 'reply',
    packetState: 'reply',
    expected: (judges, one, place) =>
      place.direction === 'inbound' ? always('allow')(judges, place) : byRulesOfReplies(judges, one, place),
  },
  {
    state: 'related',
    flowDirection: 'original',
    packetState: 'related',
    expected: (judges, _, place) => always('allow')(judges, place),
  },
  {
    state: 'invalid',
    flowDirection: 'original',
    packetState: 'invalid',
    expected: (judges, _, place) => (judges.invalid === 'match' ? byRules(judges) : builtInAlone(judges, place)),
  },
];

/** Invalid packets are dropped behind built-in traffic. */
function builtInAlone({ new: { side } }: Judges, { family }: Place): Expected {
  const candidates = side.candidates.filter(({ decider }) => decider.rule === undefined);
  const alone: Side = { candidates, rest: side.rest };
  return { stretches: lineOf(alone, family), deciderAt: (at) => deciderAt(alone, at) };
}

/** An answer passes if the rules let its flow in now, or else if the host may send it by itself. */
function byRulesOfReplies(
  { inbound, outbound, isOpen }: Judges,
  one: TrafficClass,
  place: Place,
): Expected | undefined {
  const { family } = place;
  if (isOpen) return always('allow')({ isOpen }, place);
  const protocol = one.protocols[0]?.from ?? 0;
  // Which requests ICMP's answers belong to is looked at by examples.
  if (hasParts(protocol, family) && protocol !== 6 && protocol !== 17) return undefined;
  const answer = judging(outbound, answerOf(one, protocol));
  const stretches: Stretch[] = [];
  const deciders: Pick<Decider, 'action' | 'rule'>[] = [];
  for (const { from, to, one: ofFlow, other: ofAnswer } of overlay(inbound.line(), lineOf(answer, family))) {
    const byFlow = deciderAt(inbound.side, ofFlow);
    stretches.push({ from, to, decider: deciders.length });
    deciders.push(byFlow.action === 'allow' ? byFlow : deciderAt(answer, ofAnswer));
  }
  return { stretches, deciderAt: (at) => deciders[at ?? 0] ?? { action: 'deny', rule: undefined } };
}

/** The class of the answers to a class of flows: they go to the port that the flow was opened from. */
function answerOf(one: TrafficClass, protocol: number): TrafficClass {
  return protocol === 6 || protocol === 17 ? { ...one, parts: { from: SOURCE_PORT, to: SOURCE_PORT } } : one;
}

function shapeOf(place: Place, one: TrafficClass, { state, flowDirection }: Scene): PacketShape {
  const { direction, family, name } = place;
  const protocol = one.protocols[0]?.from ?? 0;
  const part = one.parts?.from ?? 0;
  // An answer's own source port is the port that its flow went to.
  const isAnswer = flowDirection === 'reply' && direction === 'outbound';
  return {
    direction,
    interface: name,
    family,
    local: placeOn(name, place.policy, family).local.value,
    protocol,
    sourcePort: isAnswer ? part : SOURCE_PORT,
    destinationPort: isAnswer ? SOURCE_PORT : part,
    icmpType: part >> 8,
    icmpCode: part & 255,
    state,
    flowDirection,
    hopLimit: HOP_LIMIT,
  };
}

interface FirstDifference {
  readonly from: bigint;
  readonly to: bigint;
  readonly expected: Pick<Decider, 'action' | 'rule'>;
  readonly found: Action;
}

function firstDifference({ stretches, deciderAt: at }: Expected, line: readonly Judged[]): FirstDifference | undefined {
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [stretches[i], line[j]];
    if (a === undefined || b === undefined) return undefined;
    const from = a.from > b.from ? a.from : b.from;
    const to = a.to < b.to ? a.to : b.to;
    const expected = at(a.decider);
    if (from <= to && expected.action !== b.action) return { from, to, expected, found: b.action };
    if (a.to === to) i += 1;
    if (b.to === to) j += 1;
  }
}

/** All that rules of a table look at of protocols, ports and ICMP. */
function trafficsOf({ chains, sets, maps }: FoundTable): Readonly<Record<Family, readonly Traffic[]>> {
  const found: Record<Family, Traffic[]> = { ipv4: [], ipv6: [] };
  const add = (field: string, ranges: readonly FoundRange[]): void => {
    for (const family of FAMILIES) found[family].push(...ranges.flatMap((range) => trafficOf(field, range, family)));
  };
  for (const { rules } of chains.values()) {
    for (const step of rules.flatMap(({ steps }) => steps))
      for (const { field, ranges } of lookedAt(step)) add(field, ranges);
  }
  return found;

  function lookedAt(step: FoundStep): readonly { readonly field: string; readonly ranges: readonly FoundRange[] }[] {
    if (step.kind === 'test') {
      const values = 'set' in step.values ? sets.get(step.values.set) : step.values;
      return values?.kind === 'numbers' ? [{ field: step.field, ranges: values.ranges }] : [];
    }
    if (step.kind !== 'map') return [];
    const elements = step.map === undefined ? step.elements : (maps.get(step.map) ?? []);
    const keys = elements.map(({ key }) => key);
    return [{ field: step.field, ranges: keys.filter((key): key is FoundRange => typeof key !== 'string') }];
  }
}

const ALL_CODES = 256;

function trafficOf(field: string, range: FoundRange, family: Family): readonly Traffic[] {
  const [from, to] = [Number(range.from), Number(range.to)];
  switch (field) {
    case 'l4proto':
      return Array.from({ length: Math.min(to, 255) - from + 1 }, (_, i) => ({ kind: 'protocol', protocol: from + i }));
    case 'tcp.dport':
    case 'tcp.sport':
      return [{ kind: 'ports', protocol: 6, ports: [{ from, to }] }];
    case 'udp.dport':
    case 'udp.sport':
      return [{ kind: 'ports', protocol: 17, ports: [{ from, to }] }];
    case 'icmp.type':
    case 'icmpv6.type': {
      if ((field === 'icmp.type') !== (family === 'ipv4')) return [];
      const protocol = family === 'ipv4' ? 1 : 58;
      return Array.from({ length: to - from + 1 }, (_, i) => ({ kind: 'icmp', protocol, type: from + i, code: 'any' }));
    }
    case 'icmp.code':
    case 'icmpv6.code': {
      if ((field === 'icmp.code') !== (family === 'ipv4')) return [];
      const protocol = family === 'ipv4' ? 1 : 58;
      // Which types it goes with is not told apart: each code is looked at with every type.
      return Array.from({ length: ALL_CODES }, (_, type) => type).flatMap((type) =>
        Array.from({ length: to - from + 1 }, (_, i): Traffic => ({ kind: 'icmp', protocol, type, code: from + i })),
      );
    }
    default:
      return [];
  }
}

/** Built-in traffic, and the answers to pings, by examples: what the policy says of each against what the table does. */
function* platformDifferences(
  policy: HostPolicy,
  table: FoundTable,
  names: readonly NamedInterface[],
): Generator<TableDifference> {
  for (const { named, name } of [...names, { named: 'lo', name: 'lo' }]) {
    for (const packet of examples(policy, name)) {
      const { direction, protocol, icmpType = 0, icmpCode = 0, hopLimit = HOP_LIMIT } = packet;
      const inbound = direction === 'inbound';
      const [remote, local] = inbound ? [packet.source, packet.destination] : [packet.destination, packet.source];
      const { family } = remote;
      const { line } = judgeByTable(table, {
        direction,
        interface: name,
        family,
        local: local.value,
        protocol,
        sourcePort: packet.sourcePort ?? 0,
        destinationPort: packet.destinationPort ?? 0,
        icmpType,
        icmpCode,
        state: packet.state === 'reply' ? 'established' : 'new',
        flowDirection: packet.state === 'reply' ? 'reply' : 'original',
        hopLimit,
      });
      const found = line.find(({ from, to }) => from <= remote.value && remote.value <= to)?.action ?? 'deny';
      const { verdict, rule } = evaluate(policy, packet);
      if (found === verdict) continue;
      const part = packet.destinationPort ?? 256 * icmpType + icmpCode;
      yield {
        interface: named,
        direction,
        family,
        state: packet.state,
        traffic: { protocols: [{ from: protocol, to: protocol }], parts: { from: part, to: part } },
        remote: { from: remote.value, to: remote.value },
        expected: { action: verdict, rule },
        found,
        witness: packet,
      };
    }
  }
}

function examples(policy: HostPolicy, name: string): readonly Packet[] {
  const none = { sourcePort: undefined, destinationPort: undefined, icmpType: undefined, icmpCode: undefined };
  const flows = PLATFORM_FLOWS.flatMap(({ direction, family, match, source, destination }): readonly Packet[] => {
    const usual = placeOn(name, policy, family).local;
    const far = { family, value: usual.value + 8n };
    const [own, other] = direction === 'inbound' ? [destination, source] : [source, destination];
    const locals = own === undefined ? [usual] : own.map(({ from }) => ({ family, value: from }));
    const remotes = other === undefined ? [far] : [...other.map(({ from }) => ({ family, value: from })), far];
    return locals.flatMap((local) =>
      remotes.flatMap((remote): readonly Packet[] => {
        const ends =
          direction === 'inbound' ? { source: remote, destination: local } : { source: local, destination: remote };
        const common = { ...none, ...ends, interface: name, direction, state: 'new' } as const;
        if (match.kind === 'udp')
          return [
            {
              ...common,
              protocol: 17,
              sourcePort: match.sourcePort,
              destinationPort: match.destinationPort,
              hopLimit: HOP_LIMIT,
            },
          ];
        return match.types.flatMap((icmpType) =>
          [255, HOP_LIMIT].map((hopLimit) => ({ ...common, protocol: 58, icmpType, icmpCode: 0, hopLimit })),
        );
      }),
    );
  });
  const answers = FAMILIES.flatMap((family): readonly Packet[] => {
    const protocol = family === 'ipv4' ? 1 : 58;
    const local = placeOn(name, policy, family).local;
    return [...ICMP_REQUEST_OF_REPLY[protocol].keys()].map((icmpType) => ({
      ...none,
      interface: name,
      direction: 'outbound',
      state: 'reply',
      source: local,
      destination: { family, value: local.value + 8n },
      protocol,
      icmpType,
      icmpCode: 0,
      hopLimit: HOP_LIMIT,
    }));
  });
  return [...flows, ...answers];
}
