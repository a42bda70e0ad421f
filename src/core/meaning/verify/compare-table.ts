import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { ListedRule, ListedTable } from '#core/model/nft/listed-table.ts';
import { type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import { isWholeFamily } from '#core/model/net/interval.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { ENDLESS, OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import { ICMP_ERRORS, PLATFORM_FLOWS } from '#core/model/policy/platform.ts';
import { DIRECTIONS, type Action, type Direction, type Traffic } from '#core/model/policy/rule.ts';
import { partitionAddresses, intersect, type AddressSegment } from '#core/meaning/headerspace/address-partition.ts';
import { forgedSources, localAddresses } from '#core/meaning/evaluate/own-address.ts';
import {
  type RuleDecision,
  decisionAt,
  interfaceClasses,
  relevantTo,
  partitionOf,
  type RuleList,
  ruleListOf,
  untilCatchAll,
} from '#core/meaning/headerspace/rule-list.ts';
import { type TracedRange, traceTable, type PacketTemplate } from './table-tracer.ts';
import { atomMatches, atomsWithRules, type TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import type { NamedInterface, TableDifference } from './table-difference.ts';
import { platformDifferences } from './platform-samples.ts';
import { namesIn, trafficsOf } from './table-fields.ts';
import { endpointOn, HOP_LIMIT, SOURCE_PORT, witnessOf } from '#core/meaning/headerspace/witness.ts';
import { hasPorts, icmpProtocol, isIcmp, selectorOf } from '#core/model/policy/protocol-lookup.ts';
import { type IcmpProtocol, UDP } from '#core/model/policy/protocols.ts';

/** What of a table is not as the policy says. */
export interface TableComparison {
  readonly differences: readonly TableDifference[];
  /** Rules of which it cannot be told what they do. */
  readonly unknown: readonly ListedRule[];
  /** How many classes of packets were compared, each for all addresses. */
  readonly compared: number;
  /** Where not all packets were compared, since nobody waited for it. */
  readonly leftOut: readonly Pick<TableDifference, 'interface' | 'direction' | 'family'>[];
}

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
export function compareTable(policy: HostPolicy, table: ListedTable, patience: Patience = ENDLESS): TableComparison {
  const found: Found = { differences: [], unknown: new Set(), compared: 0 };
  const leftOut: TableComparison['leftOut'][number][] = [];
  const traffics = trafficsOf(table);
  const names = interfacesOf(policy, table);
  const vrf = unnamed(names.flatMap(({ named }) => named ?? []));
  for (const { named, name } of names) {
    for (const direction of DIRECTIONS) {
      for (const family of FAMILIES) {
        const place: EvaluationPoint = { policy, named, name, vrf, direction, family };
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
  readonly unknown: Set<ListedRule>;
  compared: number;
}

interface Comparing {
  readonly table: ListedTable;
  /** What the table tells apart. */
  readonly tested: readonly Traffic[];
  readonly patience: Patience;
}

/** Following a packet's way through a table costs about so many steps beside those for each stretch of addresses. */
const STEPS_OF_A_WAY = 100;

/** Compares all packets of one interface, direction and family, and adds to `found`. */
function compareAt(place: EvaluationPoint, found: Found, { table, tested, patience }: Comparing): void {
  const { named, name, direction, family } = place;
  const sides = ruleListsAt(place);
  const { invalid, isOpen } = sides;
  const lists = [
    tested,
    ...[sides.new, sides.inbound].map(({ rules }) => rules.map(({ traffic }) => traffic)),
    ICMP_ERROR_TRAFFIC[family],
  ];
  const lines = new Map<string, readonly AddressSegment[]>();
  for (const { atom, rules } of atomsWithRules(lists.flat(), family)) {
    const judges = {
      new: ruleListAmong(sides.new, rules, tested.length, { lines, family }),
      inbound: ruleListAmong(sides.inbound, rules, tested.length + sides.new.rules.length, { lines, family }),
      outbound: sides.new,
      invalid,
      isOpen,
    };
    for (const scene of CONNTRACK_CASES) {
      const expected = scene.expected(judges, atom, place);
      if (expected === undefined) continue;
      const shape = templateOf(place, atom, scene);
      const verdict = traceTable(table, shape);
      patience.spend(STEPS_OF_A_WAY + rules.length + expected.stretches.length + verdict.ranges.length);
      found.compared += 1;
      for (const rule of verdict.unknown) found.unknown.add(rule);
      const difference = firstDifference(expected, verdict.ranges);
      if (difference === undefined) continue;
      const { from, to } = difference;
      const remote = { family, from, to };
      const about = {
        direction,
        family,
        traffic: [atom],
        remotes: isWholeFamily(remote) ? 'any' : [remote],
      } as const;
      const witness = witnessOf(about, { interface: name, local: { family, value: shape.local } });
      found.differences.push({
        interface: named,
        inVrf: scene.inVrf,
        direction,
        family,
        state: scene.packetState,
        traffic: atom,
        remote: { from, to },
        expected: difference.expected,
        found: difference.found,
        witness: { ...witness, state: scene.packetState },
      });
    }
  }
}

interface EvaluationPoint {
  readonly policy: HostPolicy;
  readonly named: string | undefined;
  readonly name: string;
  /** A VRF that neither the policy nor the table names. */
  readonly vrf: string;
  readonly direction: Direction;
  readonly family: Family;
}

/** The interfaces that the policy or the table tells apart. */
function interfacesOf(policy: HostPolicy, table: ListedTable): readonly NamedInterface[] {
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
      named === undefined
        ? unnamed(all.bindings.map(({ pattern }) => pattern))
        : endpointOn(named, all, 'ipv4').interface,
  }));
}

/** A name that no pattern is about. */
function unnamed(patterns: readonly string[]): string {
  const names = Array.from({ length: patterns.length + 1 }, (_, i) => `other${i}`);
  const isNamed = (name: string): boolean => patterns.some((pattern) => patternMatches(pattern, name));
  return names.find((name) => !isNamed(name)) ?? 'other';
}

interface RuleLists {
  /** What judges new flows, built-in traffic that is told by its addresses first. */
  readonly new: RuleList;
  /** What judges the flows that replies belong to. */
  readonly inbound: RuleList;
  /** Whether the policy says nothing of the interface, and lets everything pass. */
  readonly isOpen: boolean;
  readonly invalid: 'drop' | 'match';
}

/** What judges one class of traffic. */
interface Evaluators extends Pick<RuleLists, 'isOpen' | 'invalid'> {
  readonly new: AtomRuleList;
  readonly inbound: AtomRuleList;
  /** What judges all that the host sends. */
  readonly outbound: RuleList;
}

interface AtomRuleList {
  readonly side: RuleList;
  readonly line: () => readonly AddressSegment[];
}

/** Those of a side that are among `members`, of which the side's own begin at `begin`. */
function ruleListAmong(
  { rules, otherwise }: RuleList,
  members: readonly number[],
  begin: number,
  { lines, family }: { readonly lines: Map<string, readonly AddressSegment[]>; readonly family: Family },
): AtomRuleList {
  const own = members.filter((member) => rules[member - begin] !== undefined);
  const side = untilCatchAll({ rules: own.flatMap((member) => rules[member - begin] ?? []), otherwise });
  return {
    side,
    line() {
      // Most classes are judged like others.
      const key = own.join();
      const line = lines.get(key) ?? partitionOf(side, family);
      lines.set(key, line);
      return line;
    },
  };
}

function ruleListsAt({ policy, named, name, direction, family }: EvaluationPoint): RuleLists {
  const own = ruleListOf(policy, named, { direction, family });
  const { reason } = own.otherwise;
  const builtIn = PLATFORM_FLOWS.filter(
    (flow) => flow.direction === direction && flow.family === family && policy.platform[flow.name],
  ).flatMap(({ match, source, destination }): readonly RuleList['rules'][number][] =>
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
            decision: { action: 'allow', reason: 'rule', rule: undefined },
          },
        ],
  );
  const denied = direction === 'inbound' ? forgedSources(policy, name, family) : [];
  const forged: RuleList['rules'] =
    denied.length > 0
      ? [
          {
            traffic: { kind: 'all' },
            addresses: denied,
            decision: FORGED,
          },
        ]
      : [];
  const binding = policy.bindings.find(({ pattern }) => pattern === named);
  return {
    new: { ...own, rules: reason === 'unmanaged' ? [] : [...builtIn, ...forged, ...own.rules] },
    inbound: ruleListOf(policy, named, { direction: 'inbound', family }),
    isOpen: reason === 'unmanaged',
    invalid: binding?.invalid ?? 'drop',
  };
}

/** Denies what comes in with an address of the host itself. */
const FORGED: RuleDecision = { action: 'deny', reason: 'rule', rule: undefined };

/** A VRF has addresses of its own, so none is taken for a forgery there. */
const byRulesInVrf = ({ new: { side } }: Evaluators, { family }: EvaluationPoint): Expected => {
  const honest: RuleList = { ...side, rules: side.rules.filter(({ decision }) => decision !== FORGED) };
  return { stretches: partitionOf(honest, family), deciderAt: (at) => decisionAt(honest, at) };
};

/** A line of addresses, and who decides where. */
interface Expected {
  readonly stretches: readonly AddressSegment[];
  readonly deciderAt: (place: number | undefined) => Pick<RuleDecision, 'action' | 'rule'>;
}

interface ConntrackCase {
  readonly state: PacketTemplate['state'];
  readonly flowDirection: PacketTemplate['flowDirection'];
  readonly packetState: Packet['state'];
  /** The packets come in by a VRF, and the interface is its member. */
  readonly inVrf: boolean;
  /** What the policy says; undefined where the scene is none of the class. */
  readonly expected: (judges: Evaluators, one: TrafficAtom, place: EvaluationPoint) => Expected | undefined;
}

const byRules = ({ new: { side, line } }: Evaluators): Expected => ({
  stretches: line(),
  deciderAt: (at) => decisionAt(side, at),
});

const always =
  (action: Action) =>
  ({ isOpen }: Pick<Evaluators, 'isOpen'>, { family }: EvaluationPoint): Expected => ({
    stretches: partitionAddresses([], family),
    deciderAt: () => ({ action: isOpen ? 'allow' : action, rule: undefined }),
  });

const CONNTRACK_CASES: readonly ConntrackCase[] = [
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
    expected: (judges, atom, place) =>
      place.direction === 'inbound' ? always('allow')(judges, place) : byRulesOfReplies(judges, atom, place),
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
    expected: (judges, _, place) => (judges.invalid === 'match' ? byRules(judges) : platformOnly(judges, place)),
  },
];

/** ICMP errors about live flows pass, and flows that helpers announce where the policy trusts these. */
function passesAsRelated(one: TrafficAtom, { policy, family }: EvaluationPoint): boolean {
  const protocol = one.protocols[0]?.from ?? 0;
  if (!isIcmp(protocol)) return policy.platform.helpers;
  return ICMP_ERROR_TRAFFIC[family].some((error) => atomMatches(error, one));
}

/** Invalid packets are dropped behind built-in traffic. */
function platformOnly({ new: { side } }: Evaluators, { family }: EvaluationPoint): Expected {
  const rules = side.rules.filter(({ decision }) => decision.rule === undefined);
  const alone: RuleList = { rules, otherwise: side.otherwise };
  return { stretches: partitionOf(alone, family), deciderAt: (at) => decisionAt(alone, at) };
}

/** An answer passes if the rules let its flow in now, or else if the host may send it by itself. */
function byRulesOfReplies(
  { inbound, outbound, isOpen }: Evaluators,
  one: TrafficAtom,
  place: EvaluationPoint,
): Expected | undefined {
  const { family } = place;
  if (isOpen) return always('allow')({ isOpen }, place);
  const protocol = one.protocols[0]?.from ?? 0;
  // Which requests ICMP's answers belong to is looked at by examples.
  if (selectorOf(protocol, family) === 'icmp') return undefined;
  const answer = relevantTo(outbound, answerOf(one, protocol));
  const stretches: AddressSegment[] = [];
  const deciders: Pick<RuleDecision, 'action' | 'rule'>[] = [];
  for (const { from, to, left: ofFlow, right: ofAnswer } of intersect(inbound.line(), partitionOf(answer, family))) {
    const byFlow = decisionAt(inbound.side, ofFlow);
    stretches.push({ from, to, rule: deciders.length });
    deciders.push(byFlow.action === 'allow' ? byFlow : decisionAt(answer, ofAnswer));
  }
  return { stretches, deciderAt: (at) => deciders[at ?? 0] ?? { action: 'deny', rule: undefined } };
}

/** The class of the answers to a class of flows: they go to the port that the flow was opened from. */
function answerOf(one: TrafficAtom, protocol: number): TrafficAtom {
  return hasPorts(protocol) ? { ...one, l4Values: { from: SOURCE_PORT, to: SOURCE_PORT } } : one;
}

function templateOf(
  place: EvaluationPoint,
  one: TrafficAtom,
  { state, flowDirection, inVrf }: ConntrackCase,
): PacketTemplate {
  const { direction, family, name, vrf } = place;
  const protocol = one.protocols[0]?.from ?? 0;
  const part = one.l4Values?.from ?? 0;
  // An answer's own source port is the port that its flow went to.
  const isAnswer = flowDirection === 'reply' && direction === 'outbound';
  return {
    direction,
    ...(inVrf ? { interface: vrf, member: name } : { interface: name }),
    family,
    local: endpointOn(name, place.policy, family).local.value,
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
  readonly expected: Pick<RuleDecision, 'action' | 'rule'>;
  readonly found: Action;
}

function firstDifference(
  { stretches, deciderAt: at }: Expected,
  line: readonly TracedRange[],
): FirstDifference | undefined {
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [stretches[i], line[j]];
    if (a === undefined || b === undefined) return undefined;
    const from = a.from > b.from ? a.from : b.from;
    const to = a.to < b.to ? a.to : b.to;
    const expected = at(a.rule);
    if (from <= to && expected.action !== b.action) return { from, to, expected, found: b.action };
    if (a.to === to) i += 1;
    if (b.to === to) j += 1;
  }
}
