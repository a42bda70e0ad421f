import { localAddresses } from '#core/meaning/evaluate/own-address.ts';
import type { AddressSegment } from '#core/meaning/headerspace/address-partition.ts';
import { partitionOf, type RuleDecision, type RuleList, untilCatchAll } from '#core/meaning/headerspace/rule-list.ts';
import { atomsWithRules, type TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import { endpointOn, HOP_LIMIT, SOURCE_PORT, witnessOf } from '#core/meaning/headerspace/witness.ts';
import { FAMILIES, type Family } from '#core/model/net/address.ts';
import { isWholeFamily } from '#core/model/net/interval.ts';
import type { ListedRule, ListedTable } from '#core/model/nft/listed-table.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { ENDLESS, OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import { type Action, DIRECTIONS, type Traffic } from '#core/model/policy/rule.ts';
import {
  type AtomRuleList,
  CONNTRACK_CASES,
  type ConntrackCase,
  type Evaluators,
  type Expected,
  ICMP_ERROR_TRAFFIC,
} from './conntrack-cases.ts';
import { type EvaluationPoint, interfacesOf, ruleListsAt, unnamedInterface } from './evaluation-point.ts';
import type { PacketTemplate } from './packet-fields.ts';
import { platformDifferences } from './platform-samples.ts';
import type { TableDifference } from './table-difference.ts';
import { trafficsOf } from './table-fields.ts';
import { type TracedRange, traceTable } from './table-tracer.ts';

/** What a table does otherwise than the policy says. */
export interface TableComparison {
  readonly differences: readonly TableDifference[];
  /** Rules whose effect is not known. */
  readonly unknown: readonly ListedRule[];
  /** How many classes of packets were compared, each for all addresses. */
  readonly compared: number;
  /** Where patience ended before all packets were compared. */
  readonly leftOut: readonly Pick<TableDifference, 'interface' | 'direction' | 'family'>[];
}

/**
 * Traces every packet of new flows, and of each other conntrack state, through a table, and compares with what the policy
 * says: exact set arithmetic over interface, family, protocol, port or ICMP type and code, and address. Reports the first
 * difference of each class of packets. Built-in traffic is compared by samples.
 */
export function compareTable(policy: HostPolicy, table: ListedTable, patience: Patience = ENDLESS): TableComparison {
  const found: Found = { differences: [], unknown: new Set(), compared: 0 };
  const leftOut: TableComparison['leftOut'][number][] = [];
  const traffics = trafficsOf(table);
  const names = interfacesOf(policy, table);
  const vrf = unnamedInterface(names.flatMap(({ named }) => named ?? []));
  for (const { named, name } of names) {
    for (const direction of DIRECTIONS) {
      for (const family of FAMILIES) {
        const point: EvaluationPoint = { policy, named, name, vrf, direction, family };
        try {
          compareAt(point, found, { table, tested: traffics[family], patience });
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

interface TableContext {
  readonly table: ListedTable;
  /** The traffic that rules of the table test for. */
  readonly tested: readonly Traffic[];
  readonly patience: Patience;
}

/** The steps that tracing one template costs, beside those for each range of addresses. */
const STEPS_PER_TRACE = 100;

/** Compares all packets at one point, and adds to `found`. */
function compareAt(point: EvaluationPoint, found: Found, { table, tested, patience }: TableContext): void {
  const { family } = point;
  const lists = ruleListsAt(point);
  const traffics = [
    tested,
    ...[lists.new, lists.inbound].map(({ rules }) => rules.map(({ traffic }) => traffic)),
    ICMP_ERROR_TRAFFIC[family],
  ];
  const partitions = new Map<string, readonly AddressSegment[]>();
  for (const { atom, rules } of atomsWithRules(traffics.flat(), family)) {
    const evaluators: Evaluators = {
      new: listForAtom(lists.new, rules, { begin: tested.length, partitions, family }),
      inbound: listForAtom(lists.inbound, rules, { begin: tested.length + lists.new.rules.length, partitions, family }),
      outbound: lists.new,
      invalid: lists.invalid,
      isOpen: lists.isOpen,
    };
    for (const conntrackCase of CONNTRACK_CASES) {
      const expected = conntrackCase.expected(evaluators, atom, point);
      if (expected === undefined) continue;
      const template = templateOf(point, atom, conntrackCase);
      const trace = traceTable(table, template);
      patience.spend(STEPS_PER_TRACE + rules.length + expected.segments.length + trace.ranges.length);
      found.compared += 1;
      for (const rule of trace.unknown) found.unknown.add(rule);
      const difference = firstDifference(expected, trace.ranges);
      if (difference !== undefined)
        found.differences.push(tableDifference(point, difference, { atom, template, conntrackCase }));
    }
  }
}

/** Where a list's rules stand among the traffics of a point, and the partitions that are known at the point. */
interface AtomContext {
  readonly begin: number;
  readonly partitions: Map<string, readonly AddressSegment[]>;
  readonly family: Family;
}

/** The rules of a list that match an atom: `matching` are the indices of all traffics that do. */
function listForAtom({ rules, otherwise }: RuleList, matching: readonly number[], context: AtomContext): AtomRuleList {
  const { begin, partitions, family } = context;
  const indices = matching.filter((index) => rules[index - begin] !== undefined);
  const list = untilCatchAll({ rules: indices.flatMap((index) => rules[index - begin] ?? []), otherwise });
  return {
    list,
    partition() {
      // Most atoms are matched by the same rules as others.
      const key = indices.join();
      const partition = partitions.get(key) ?? partitionOf(list, family);
      partitions.set(key, partition);
      return partition;
    },
  };
}

function templateOf(
  { policy, direction, family, name, vrf }: EvaluationPoint,
  atom: TrafficAtom,
  { state, flowDirection, inVrf }: ConntrackCase,
): PacketTemplate {
  const l4Value = atom.l4Values?.from ?? 0;
  // The source port of a reply is the port that its flow went to.
  const isReply = flowDirection === 'reply' && direction === 'outbound';
  return {
    direction,
    ...(inVrf ? { interface: vrf, member: name } : { interface: name }),
    family,
    local: endpointOn(name, policy, family).local.value,
    protocol: atom.protocols[0]?.from ?? 0,
    sourcePort: isReply ? l4Value : SOURCE_PORT,
    destinationPort: isReply ? SOURCE_PORT : l4Value,
    icmpType: l4Value >> 8,
    icmpCode: l4Value & 255,
    state,
    flowDirection,
    hopLimit: HOP_LIMIT,
    own: localAddresses(policy, name, family),
  };
}

interface RangeDifference {
  readonly from: bigint;
  readonly to: bigint;
  readonly expected: Pick<RuleDecision, 'action' | 'rule'>;
  readonly found: Action;
}

function firstDifference(
  { segments, decisionAt }: Expected,
  ranges: readonly TracedRange[],
): RangeDifference | undefined {
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [segments[i], ranges[j]];
    if (a === undefined || b === undefined) return undefined;
    const from = a.from > b.from ? a.from : b.from;
    const to = a.to < b.to ? a.to : b.to;
    const expected = decisionAt(a.rule);
    if (from <= to && expected.action !== b.action) return { from, to, expected, found: b.action };
    if (a.to === to) i += 1;
    if (b.to === to) j += 1;
  }
}

interface Traced {
  readonly atom: TrafficAtom;
  readonly template: PacketTemplate;
  readonly conntrackCase: ConntrackCase;
}

function tableDifference(
  { named, name, direction, family }: EvaluationPoint,
  { from, to, expected, found }: RangeDifference,
  { atom, template, conntrackCase: { inVrf, packetState } }: Traced,
): TableDifference {
  const remote = { family, from, to };
  const packets = { direction, family, traffic: [atom], remotes: isWholeFamily(remote) ? 'any' : [remote] } as const;
  const witness = witnessOf(packets, { interface: name, local: { family, value: template.local } });
  return {
    interface: named,
    inVrf,
    direction,
    family,
    state: packetState,
    traffic: atom,
    remote: { from, to },
    expected,
    found,
    witness: { ...witness, state: packetState },
  };
}
