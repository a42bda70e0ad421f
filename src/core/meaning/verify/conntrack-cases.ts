import { type AddressSegment, intersect, partitionAddresses } from '#core/meaning/headerspace/address-partition.ts';
import {
  decisionAt,
  partitionOf,
  type RuleDecision,
  type RuleList,
  relevantTo,
} from '#core/meaning/headerspace/rule-list.ts';
import { atomMatches, type TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import { SOURCE_PORT } from '#core/meaning/headerspace/witness.ts';
import type { Family } from '#core/model/net/address.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { ICMP_ERRORS } from '#core/model/policy/platform.ts';
import { hasPorts, icmpProtocol, isIcmp, selectorOf } from '#core/model/policy/protocol-lookup.ts';
import type { IcmpProtocol } from '#core/model/policy/protocols.ts';
import type { Action, Traffic } from '#core/model/policy/rule.ts';
import { type EvaluationPoint, FORGED, type RuleLists } from './evaluation-point.ts';
import type { PacketTemplate } from './packet-fields.ts';

/** The rules for one traffic atom, and the partition of addresses by them, made on demand. */
export interface AtomRuleList {
  readonly list: RuleList;
  readonly partition: () => readonly AddressSegment[];
}

/** What evaluates the packets of one traffic atom. */
export interface Evaluators extends Pick<RuleLists, 'isOpen' | 'invalid'> {
  readonly new: AtomRuleList;
  readonly inbound: AtomRuleList;
  /** The rules for all that the host sends, of every atom. */
  readonly outbound: RuleList;
}

/** What the policy says of packets, for all remote addresses. */
export interface Expected {
  readonly segments: readonly AddressSegment[];
  /** The decision for a segment, by its `rule`. */
  readonly decisionAt: (rule: number | undefined) => Pick<RuleDecision, 'action' | 'rule'>;
}

/** What conntrack can say of a packet, and what the policy says of the packet then. */
export interface ConntrackCase {
  readonly state: PacketTemplate['state'];
  readonly flowDirection: PacketTemplate['flowDirection'];
  readonly packetState: Packet['state'];
  /** The packets come in by a VRF that the policy does not name, and the interface is its member. */
  readonly inVrf: boolean;
  /** Undefined if packets of the atom never are in this case. */
  readonly expected: (evaluators: Evaluators, atom: TrafficAtom, point: EvaluationPoint) => Expected | undefined;
}

/** All cases that the packets of each traffic atom are compared in. */
export const CONNTRACK_CASES: readonly ConntrackCase[] = [
  { state: 'new', flowDirection: 'original', packetState: 'new', inVrf: false, expected: byRules },
  {
    state: 'new',
    flowDirection: 'original',
    packetState: 'new',
    inVrf: true,
    expected: (evaluators, _, point) => (point.direction === 'inbound' ? byRulesInVrf(evaluators, point) : undefined),
  },
  {
    state: 'established',
    flowDirection: 'original',
    packetState: 'established',
    inVrf: false,
    expected: (evaluators, _, point) =>
      point.direction === 'outbound' ? always('allow', evaluators, point) : byRules(evaluators),
  },
  {
    state: 'established',
    flowDirection: 'reply',
    packetState: 'reply',
    inVrf: false,
    expected: (evaluators, atom, point) =>
      point.direction === 'inbound' ? always('allow', evaluators, point) : byRulesForReplies(evaluators, atom, point),
  },
  {
    state: 'related',
    flowDirection: 'original',
    packetState: 'related',
    inVrf: false,
    expected: (evaluators, atom, point) =>
      passesAsRelated(atom, point) ? always('allow', evaluators, point) : byRules(evaluators),
  },
  {
    state: 'invalid',
    flowDirection: 'original',
    packetState: 'invalid',
    inVrf: false,
    expected: (evaluators, _, point) =>
      evaluators.invalid === 'match' ? byRules(evaluators) : platformOnly(evaluators, point),
  },
];

function byRules({ new: { list, partition } }: Evaluators): Expected {
  return { segments: partition(), decisionAt: (rule) => decisionAt(list, rule) };
}

function byList(list: RuleList, family: Family): Expected {
  return { segments: partitionOf(list, family), decisionAt: (rule) => decisionAt(list, rule) };
}

/** A VRF has addresses of its own, so no source is taken for a forgery there. */
function byRulesInVrf({ new: { list } }: Evaluators, { family }: EvaluationPoint): Expected {
  return byList({ ...list, rules: list.rules.filter(({ decision }) => decision !== FORGED) }, family);
}

/** Invalid packets are dropped behind built-in traffic. */
function platformOnly({ new: { list } }: Evaluators, { family }: EvaluationPoint): Expected {
  return byList({ ...list, rules: list.rules.filter(({ decision }) => decision.rule === undefined) }, family);
}

function always(action: Action, { isOpen }: Pick<Evaluators, 'isOpen'>, { family }: EvaluationPoint): Expected {
  return {
    segments: partitionAddresses([], family),
    decisionAt: () => ({ action: isOpen ? 'allow' : action, rule: undefined }),
  };
}

/** The ICMP errors about live flows, which pass without a rule. */
export const ICMP_ERROR_TRAFFIC: Readonly<Record<Family, readonly Traffic[]>> = {
  ipv4: errorsOf(icmpProtocol('ipv4')),
  ipv6: errorsOf(icmpProtocol('ipv6')),
};

function errorsOf(protocol: IcmpProtocol): readonly Traffic[] {
  return ICMP_ERRORS[protocol].map((type) => ({ kind: 'icmp', protocol, type, code: 'any' }));
}

/** ICMP errors about live flows pass, and flows that helpers announce if the policy trusts helpers. */
function passesAsRelated(atom: TrafficAtom, { policy, family }: EvaluationPoint): boolean {
  const protocol = atom.protocols[0]?.from ?? 0;
  if (!isIcmp(protocol)) return policy.platform.helpers;
  return ICMP_ERROR_TRAFFIC[family].some((error) => atomMatches(error, atom));
}

/** A reply passes if the rules allow its flow now, or else if the outbound rules allow it as a packet of its own. */
function byRulesForReplies(
  { inbound, outbound, isOpen }: Evaluators,
  atom: TrafficAtom,
  point: EvaluationPoint,
): Expected | undefined {
  const { family } = point;
  if (isOpen) return always('allow', { isOpen }, point);
  const protocol = atom.protocols[0]?.from ?? 0;
  // Which requests the replies of ICMP belong to is compared by samples.
  if (selectorOf(protocol, family) === 'icmp') return undefined;
  const replies = relevantTo(outbound, replyAtom(atom, protocol));
  const segments: AddressSegment[] = [];
  const decisions: Pick<RuleDecision, 'action' | 'rule'>[] = [];
  for (const { from, to, left, right } of intersect(inbound.partition(), partitionOf(replies, family))) {
    const forFlow = decisionAt(inbound.list, left);
    segments.push({ from, to, rule: decisions.length });
    decisions.push(forFlow.action === 'allow' ? forFlow : decisionAt(replies, right));
  }
  return { segments, decisionAt: (rule) => decisions[rule ?? 0] ?? { action: 'deny', rule: undefined } };
}

/** The atom of the replies to an atom's flows: they go to the port that the flow was opened from. */
function replyAtom(atom: TrafficAtom, protocol: number): TrafficAtom {
  return hasPorts(protocol) ? { ...atom, l4Values: { from: SOURCE_PORT, to: SOURCE_PORT } } : atom;
}
