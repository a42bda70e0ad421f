import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { FoundRule, FoundTable } from '#core/model/nft/found-table.ts';
import { type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import { isWholeFamily } from '#core/model/net/interval.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { ENDLESS, OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import { ICMP_ERRORS, PLATFORM_FLOWS } from '#core/model/policy/platform.ts';
import type { Action, Direction, Traffic } from '#core/model/policy/rule.ts';
import { addressLine, overlay, type Stretch } from '#core/meaning/headerspace/address-line.ts';
import { forgedSources, localAddresses } from '#core/meaning/evaluate/own-address.ts';
import {
  type Decider,
  deciderAt,
  interfaceClasses,
  judging,
  lineOf,
  type Side,
  sideOf,
  upToAny,
} from '#core/meaning/headerspace/sides.ts';
import { type Judged, judgeByTable, type PacketShape } from './table-meaning.ts';
import { classMatches, classMembers, type TrafficClass } from '#core/meaning/headerspace/traffic-classes.ts';
import type { NamedInterface, TableDifference } from './table-difference.ts';
import { platformDifferences } from './table-examples.ts';
import { namesIn, trafficsOf } from './table-vocabulary.ts';
import { placeOn, witnessOf } from '#core/meaning/headerspace/witness.ts';
import { hasPorts, icmpProtocol, isIcmp, selectorOf } from '#core/model/policy/protocol-lookup.ts';
import { type IcmpProtocol, UDP } from '#core/model/policy/protocols.ts';

/** What of a table is not as the policy says. */
export interface TableComparison {
  readonly differences: readonly TableDifference[];
  /** Rules of which it cannot be told what they do. */
  readonly unknown: readonly FoundRule[];
  /** How many classes of packets were compared, each for all addresses. */
  readonly compared: number;
  /** Where not all packets were compared, since nobody waited for it. */
  readonly leftOut: readonly Pick<TableDifference, 'interface' | 'direction' | 'family'>[];
}

const DIRECTIONS: readonly Direction[] = ['inbound', 'outbound'];
const SOURCE_PORT = 50_000;
const HOP_LIMIT = 64;

const errorsOf = (protocol: IcmpProtocol): readonly Traffic[] =>
  ICMP_ERRORS[protocol].map((type) => ({ kind: 'icmp', protocol, type, code: 'any' }));
const ICMP_ERROR_TRAFFIC: Readonly<Record<Family, readonly Traffic[]>> = {
  ipv4: errorsOf(icmpProtocol('ipv4')),
  ipv6: errorsOf(icmpProtocol('ipv6')),
};

/**
 * Follows every packet of new flows, and of each other state that conntrack knows, through a table, and compares with what
 * the policy says: exact set arithmetic over interface, family, protocol, port or ICMP type and code, and address. Of one
 * class of packets the first difference is told. Built-in traffic is followed by examples.
 */
export function compareTable(policy: HostPolicy, table: FoundTable, patience: Patience = ENDLESS): TableComparison {
  const found: Found = { differences: [], unknown: new Set(), compared: 0 };
  const leftOut: TableComparison['leftOut'][number][] = [];
  const traffics = trafficsOf(table);
  const names = interfacesOf(policy, table);
  const vrf = unnamed(names.flatMap(({ named }) => named ?? []));
  for (const { named, name } of names) {
    for (const direction of DIRECTIONS) {
      for (const family of FAMILIES) {
        const place: Place = { policy, named, name, vrf, direction, family };
        try {
          compareAt(place, found, { table, tested: traffics[family], patience });
        } catch (error) {
          if (!(error instanceof OutOfPatience)) throw error;
          leftOut.push({ interface: named, direction, family });
        }
      }
    }
  }
  found.differences.push(...platformDifferences(policy, table, names));
  return { differences: found.differences, unknown: [...found.unknown], compared: found.compared, leftOut };
}

interface Found {
  readonly differences: TableDifference[];
  readonly unknown: Set<FoundRule>;
  compared: number;
}

interface Comparing {
  readonly table: FoundTable;
  /** What the table tells apart. */
  readonly tested: readonly Traffic[];
  readonly patience: Patience;
}

/** Following a packet's way through a table costs about so many steps beside those for each stretch of addresses. */
const STEPS_OF_A_WAY = 100;

/** Compares all packets of one interface, direction and family, and adds to `found`. */
function compareAt(place: Place, found: Found, { table, tested, patience }: Comparing): void {
  const { named, name, direction, family } = place;
  const sides = sidesAt(place);
  const { invalid, isOpen } = sides;
  const lists = [
    tested,
    ...[sides.new, sides.inbound].map(({ candidates }) => candidates.map(({ traffic }) => traffic)),
    ICMP_ERROR_TRAFFIC[family],
  ];
  const lines = new Map<string, readonly Stretch[]>();
  for (const { one, members } of classMembers(lists.flat(), family)) {
    const judges = {
      new: judgesAmong(sides.new, members, tested.length, { lines, family }),
      inbound: judgesAmong(sides.inbound, members, tested.length + sides.new.candidates.length, { lines, family }),
      outbound: sides.new,
      invalid,
      isOpen,
    };
    for (const scene of SCENES) {
      const expected = scene.expected(judges, one, place);
      if (expected === undefined) continue;
      const shape = shapeOf(place, one, scene);
      const verdict = judgeByTable(table, shape);
      patience.spend(STEPS_OF_A_WAY + members.length + expected.stretches.length + verdict.line.length);
      found.compared += 1;
      for (const rule of verdict.unknown) found.unknown.add(rule);
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
      found.differences.push({
        interface: named,
        inVrf: scene.inVrf,
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

interface Place {
  readonly policy: HostPolicy;
  readonly named: string | undefined;
  readonly name: string;
  /** A VRF that neither the policy nor the table names. */
  readonly vrf: string;
  readonly direction: Direction;
  readonly family: Family;
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
    name:
      named === undefined ? unnamed(all.bindings.map(({ pattern }) => pattern)) : placeOn(named, all, 'ipv4').interface,
  }));
}

/** A name that no pattern is about. */
function unnamed(patterns: readonly string[]): string {
  const names = Array.from({ length: patterns.length + 1 }, (_, i) => `other${i}`);
  const isNamed = (name: string): boolean => patterns.some((pattern) => patternMatches(pattern, name));
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

function sidesAt({ policy, named, name, direction, family }: Place): Sides {
  const own = sideOf(policy, named, { direction, family });
  const { reason } = own.rest;
  const builtIn = PLATFORM_FLOWS.filter(
    (flow) => flow.direction === direction && flow.family === family && policy.platform[flow.name],
  ).flatMap(({ match, source, destination }): readonly Side['candidates'][number][] =>
    // Other built-in traffic is told by ports, hop limits or addresses that the packets of no class have.
    match.kind !== 'udp' || match.sourcePort !== 'any' || destination !== undefined
      ? []
      : [
          {
            traffic: {
              kind: 'ports',
              protocol: UDP,
              ports: [{ from: match.destinationPort, to: match.destinationPort }],
            },
            addresses: source ?? 'any',
            decider: { action: 'allow', reason: 'rule', rule: undefined },
          },
        ],
  );
  const denied = direction === 'inbound' ? forgedSources(policy, name, family) : [];
  const forged: Side['candidates'] =
    denied.length > 0
      ? [
          {
            traffic: { kind: 'all' },
            addresses: denied,
            decider: FORGED,
          },
        ]
      : [];
  const binding = policy.bindings.find(({ pattern }) => pattern === named);
  return {
    new: { ...own, candidates: reason === 'unmanaged' ? [] : [...builtIn, ...forged, ...own.candidates] },
    inbound: sideOf(policy, named, { direction: 'inbound', family }),
    isOpen: reason === 'unmanaged',
    invalid: binding?.invalid ?? 'drop',
  };
}

/** Denies what comes in with an address of the host itself. */
const FORGED: Decider = { action: 'deny', reason: 'rule', rule: undefined };

/** A VRF has addresses of its own, so none is taken for a forgery there. */
const byRulesInVrf = ({ new: { side } }: Judges, { family }: Place): Expected => {
  const honest: Side = { ...side, candidates: side.candidates.filter(({ decider }) => decider !== FORGED) };
  return { stretches: lineOf(honest, family), deciderAt: (at) => deciderAt(honest, at) };
};

/** A line of addresses, and who decides where. */
interface Expected {
  readonly stretches: readonly Stretch[];
  readonly deciderAt: (place: number | undefined) => Pick<Decider, 'action' | 'rule'>;
}

interface Scene {
  readonly state: PacketShape['state'];
  readonly flowDirection: PacketShape['flowDirection'];
  readonly packetState: Packet['state'];
  /** The packets come in by a VRF, and the interface is its member. */
  readonly inVrf: boolean;
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
  { state: 'new', flowDirection: 'original', packetState: 'new', inVrf: false, expected: byRules },
  {
    state: 'new',
    flowDirection: 'original',
    packetState: 'new',
    inVrf: true,
    expected: (judges, _, place) => (place.direction === 'inbound' ? byRulesInVrf(judges, place) : undefined),
  },
  {
    state: 'established',
    flowDirection: 'original',
    packetState: 'established',
    inVrf: false,
    expected: (judges, _, place) => (place.direction === 'outbound' ? always('allow')(judges, place) : byRules(judges)),
  },
  {
    state: 'established',
    flowDirection: 'reply',
    packetState: 'reply',
    inVrf: false,
    expected: (judges, one, place) =>
      place.direction === 'inbound' ? always('allow')(judges, place) : byRulesOfReplies(judges, one, place),
  },
  {
    state: 'related',
    flowDirection: 'original',
    packetState: 'related',
    inVrf: false,
    expected: (judges, one, place) => (passesAsRelated(one, place) ? always('allow')(judges, place) : byRules(judges)),
  },
  {
    state: 'invalid',
    flowDirection: 'original',
    packetState: 'invalid',
    inVrf: false,
    expected: (judges, _, place) => (judges.invalid === 'match' ? byRules(judges) : builtInAlone(judges, place)),
  },
];

/** ICMP errors about live flows pass, and flows that helpers announce where the policy trusts these. */
function passesAsRelated(one: TrafficClass, { policy, family }: Place): boolean {
  const protocol = one.protocols[0]?.from ?? 0;
  if (!isIcmp(protocol)) return policy.platform.helpers;
  return ICMP_ERROR_TRAFFIC[family].some((error) => classMatches(error, one));
}

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
  if (selectorOf(protocol, family) === 'icmp') return undefined;
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
  return hasPorts(protocol) ? { ...one, parts: { from: SOURCE_PORT, to: SOURCE_PORT } } : one;
}

function shapeOf(place: Place, one: TrafficClass, { state, flowDirection, inVrf }: Scene): PacketShape {
  const { direction, family, name, vrf } = place;
  const protocol = one.protocols[0]?.from ?? 0;
  const part = one.parts?.from ?? 0;
  // An answer's own source port is the port that its flow went to.
  const isAnswer = flowDirection === 'reply' && direction === 'outbound';
  return {
    direction,
    ...(inVrf ? { interface: vrf, member: name } : { interface: name }),
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
    own: localAddresses(place.policy, name, family),
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
