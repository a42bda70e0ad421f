import { partitionAddresses } from '#core/meaning/headerspace/address-partition.ts';
import {
  type FoundPackets,
  findFirstPackets,
  type PacketSearch,
  type SearchResult,
} from '#core/meaning/headerspace/find-first-packets.ts';
import { addressesOf, type RuleDecision, type RuleList, ruleListOf } from '#core/meaning/headerspace/rule-list.ts';
import { type BoundInterfaces, endpointOn, witnessOf } from '#core/meaning/headerspace/witness.ts';
import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import type { Assertion } from '#core/model/policy/policy.ts';
import { DIRECTIONS, type Rule } from '#core/model/policy/rule.ts';

/** A packet of a new flow that gets the opposite of the asserted verdict. */
export interface Violation {
  /** The interface, or the glob, whose rules decide. */
  readonly interface: string;
  readonly decision: RuleDecision;
  readonly witness: Packet;
}

/** Whether an assertion holds for all its packets. */
export type Proof =
  | { readonly kind: 'holds' }
  | { readonly kind: 'broken'; readonly violation: Violation }
  /** Patience ended before the proof. */
  | { readonly kind: 'unknown' };

/** Proves assertions about hosts of one policy. */
export interface Prover {
  /**
   * For each assertion, whether it holds on the interfaces that `policy` names, or the first packet for which it does
   * not. It is about rules, of groups and of management: built-in traffic passes whatever is asserted. The packet is on
   * one of the interfaces `interfaceNames` if one of them fits.
   */
  prove(policy: HostPolicy, assertions: readonly Assertion[], interfaceNames?: readonly string[]): readonly Proof[];
}

/** Searches for packets that break a rule of an assertion, among those that it does not except. */
interface AssertionSearch extends PacketSearch {
  readonly rule: Rule;
}

/** What searches found in one rule list. */
type Answers = Map<AssertionSearch, SearchResult>;

/** Creates a prover. It searches each rule list once, for all assertions and on all hosts. */
export function createProver(patience: Patience): Prover {
  const asked = new Map<Assertion, readonly AssertionSearch[]>();
  const answers = new Map<string, Answers>();
  const numbers = new Map<Rule, number>();
  const numberOf = (rule: Rule | undefined): number => {
    if (rule === undefined) return -1;
    const number = numbers.get(rule) ?? numbers.size;
    numbers.set(rule, number);
    return number;
  };
  const answersOf = (side: RuleList, family: Family, all: readonly AssertionSearch[]): Answers => {
    const key = `${family} ${side.otherwise.action} ${side.rules.map(({ decision }) => numberOf(decision.rule)).join()}`;
    const known: Answers = answers.get(key) ?? new Map();
    answers.set(key, known);
    const open = all.filter((one) => !known.has(one));
    if (open.length > 0)
      for (const [one, answer] of findFirstPackets(side, open, { family, patience })) known.set(one, answer);
    return known;
  };
  return {
    prove(policy, assertions, interfaceNames) {
      const all = assertions.map((assertion) => {
        const known = asked.get(assertion) ?? askedBy(assertion, policy);
        asked.set(assertion, known);
        return known;
      });
      const proofs = assertions.map((): Proof => ({ kind: 'holds' }));
      const { bindings } = policy;
      for (const { pattern } of bindings) {
        if (pattern === 'lo') continue;
        const answered = new Map<AssertionSearch, SearchResult>();
        for (const direction of DIRECTIONS) {
          for (const family of FAMILIES) {
            const own = all.flatMap((some, place) => (proofs[place]?.kind === 'broken' ? [] : some));
            const about = own.filter(({ rule }) => rule.origin.direction === direction && rule.family === family);
            if (about.length === 0) continue;
            const found = answersOf(ruleListOf(policy, pattern, { direction, family }), family, about);
            for (const one of about) answered.set(one, found.get(one) ?? 'unknown');
          }
        }
        for (const [place, some] of all.entries()) {
          if (proofs[place]?.kind === 'broken') continue;
          const first = some.map((one) => ({ one, answer: answered.get(one) })).find(({ answer }) => isFound(answer));
          if (first !== undefined && isFound(first.answer))
            proofs[place] = {
              kind: 'broken',
              violation: violationOf(first.answer, first.one, { bindings, interfaceNames, pattern }),
            };
          else if (some.some((one) => answered.get(one) === 'unknown')) proofs[place] = { kind: 'unknown' };
        }
      }
      return proofs;
    },
  };
}

function isFound(answer: SearchResult | undefined): answer is FoundPackets {
  return typeof answer === 'object';
}

function askedBy({ expected, traffic, except }: Assertion, policy: HostPolicy): readonly AssertionSearch[] {
  return traffic.map((rule) => {
    const { family } = rule;
    const about = [...except, rule.remote].map((remote) => addressesOf(remote, family, policy));
    const addresses = partitionAddresses(about, family)
      .filter(({ rule: first }) => first === about.length - 1)
      .map(({ from, to }) => ({ family, from, to }));
    return { rule, traffic: rule.traffic, addresses, action: expected === 'allow' ? 'deny' : 'allow' };
  });
}

function violationOf(
  { interval, atom, decision }: FoundPackets,
  { rule: { origin, family } }: AssertionSearch,
  { pattern, ...judged }: BoundInterfaces & { readonly pattern: string },
): Violation {
  const difference = { direction: origin.direction, family, traffic: [atom], remotes: [interval] };
  return { interface: pattern, decision, witness: witnessOf(difference, endpointOn(pattern, judged, family)) };
}
