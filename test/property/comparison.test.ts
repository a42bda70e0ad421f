import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { comparePolicies, type Difference } from '#core/meaning/compare/compare-policies.ts';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import type { RuleDecision } from '#core/meaning/headerspace/rule-list.ts';
import { hasL4Values, type TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import { witnessOf } from '#core/meaning/headerspace/witness.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import { hostPolicyOf } from '../netns/enforce.ts';
import { judge } from '../oracle/oracle.ts';
import type { PlainPolicy } from '../oracle/plain-policy.ts';
import { readAddress } from '../oracle/read-literals.ts';
import { readPlainPolicy } from '../oracle/read-plain-policy.ts';
import { rulePacketsFor } from './arbitrary-packet.ts';
import { HOST, INSTANCE, POLICY, policyText } from './arbitrary-policy.ts';

/** Each of these takes as long as several of the other properties. */
const RUNS = process.env['PROPERTY_RUNS'];
const OPTIONS = RUNS === undefined ? {} : { numRuns: Math.ceil(Number(RUNS) / 8) };

/** A policy and what somebody made of it, or of another one. */
const PAIR: fc.Arbitrary<readonly [PlainPolicy, PlainPolicy]> = fc.oneof(
  { weight: 3, arbitrary: POLICY.chain((policy) => fc.tuple(fc.constant(policy), editOf(policy))) },
  { weight: 1, arbitrary: fc.tuple(POLICY, POLICY) },
);

const CASE = PAIR.chain(([before, after]) => {
  const packet = fc.oneof(rulePacketsFor(before), rulePacketsFor(after)).map(asOfNewFlow);
  return fc.tuple(fc.constant([before, after] as const), fc.array(packet, { minLength: 1, maxLength: 60 }));
});

/** One thing changed: a rule taken out, turned round or moved, an interface's groups in another order, a switch. */
function editOf(policy: PlainPolicy): fc.Arbitrary<PlainPolicy> {
  return fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 1_000 })).map(([kind, at]) => {
    const edited = JSON.parse(JSON.stringify(policy)) as Mutable;
    const lists = Object.values(edited.securityGroups ?? {}).flatMap(({ inbound, outbound }) => [inbound, outbound]);
    const rules = lists.filter((list) => list !== undefined && list.length > 0);
    const list = rules[at % Math.max(1, rules.length)];
    const rule = list?.[at % list.length];
    if (kind === 0) list?.splice(at % list.length, 1);
    else if (kind === 1 && rule !== undefined) rule['action'] = rule['action'] === 'deny' ? 'allow' : 'deny';
    else if (kind === 2 && rule !== undefined) rule['priority'] = 1 + (at % 100);
    else if (kind === 3) for (const one of interfacesOf(edited)) one.securityGroups?.reverse();
    else if (kind === 4) edited['unmanagedInterfaces'] = edited['unmanagedInterfaces'] === 'deny' ? 'allow' : 'deny';
    else if (rule !== undefined) rule['enabled'] = false;
    return JSON.parse(JSON.stringify(edited)) as PlainPolicy;
  });
}

interface Mutable {
  securityGroups?: Record<string, { inbound?: Record<string, unknown>[]; outbound?: Record<string, unknown>[] }>;
  instances?: Record<string, { interfaces: Record<string, { securityGroups?: string[] }> }>;
  [key: string]: unknown;
}

function interfacesOf({ instances }: Mutable): { securityGroups?: string[] }[] {
  return Object.values(instances ?? {}).flatMap(({ interfaces }) => Object.values(interfaces));
}

/** What only its addresses, protocol, ports, type and code tell: no DHCP, and forwarded by a router. */
function asOfNewFlow(packet: Packet): Packet {
  const sourcePort = packet.sourcePort === undefined ? undefined : 50_000;
  return { ...packet, state: 'new', sourcePort, hopLimit: 64 };
}

function resolved(policy: PlainPolicy): Promise<HostPolicy> {
  return hostPolicyOf(policyText(policy), { host: HOST, instance: INSTANCE });
}

function holds(
  { direction, family, traffic, remotes, ...one }: Difference,
  packet: Packet,
  names: readonly string[],
): boolean {
  const remote = packet.direction === 'inbound' ? packet.source : packet.destination;
  return (
    packet.direction === direction &&
    remote.family === family &&
    classOf(packet.interface, names) === one.interface &&
    (traffic === 'all' || traffic.some((some) => classHolds(some, packet))) &&
    (remotes === 'any' || remotes.some(({ from, to }) => from <= remote.value && remote.value <= to))
  );
}

function classHolds({ protocols, l4Values }: TrafficAtom, packet: Packet): boolean {
  if (!protocols.some(({ from, to }) => from <= packet.protocol && packet.protocol <= to)) return false;
  if (l4Values === undefined || !hasL4Values(packet.protocol, packet.source.family)) return true;
  const part = packet.destinationPort ?? 256 * (packet.icmpType ?? 0) + (packet.icmpCode ?? 0);
  return l4Values.from <= part && part <= l4Values.to;
}

/** The exact name, else the longest glob among `names`; undefined where none of them matches. */
function classOf(name: string, names: readonly string[]): string | undefined {
  if (names.includes(name)) return name;
  return names
    .filter((pattern) => pattern.endsWith('*') && patternMatches(pattern, name))
    .toSorted((a, b) => b.length - a.length)[0];
}

function patternsOf(...policies: readonly HostPolicy[]): readonly string[] {
  return policies.flatMap(({ bindings }) => bindings.map(({ pattern }) => pattern));
}

function nameOf(rule: Rule | undefined): unknown {
  return rule === undefined ? 'no rule' : { ...rule.origin, family: rule.family };
}

describe('the difference of two policies', () => {
  it('is the packets that the oracle judges otherwise, by the rules that decide on them', async () => {
    await fc.assert(
      fc.asyncProperty(CASE, async ([plain, packets]) => {
        const [before, after] = await Promise.all([resolved(plain[0]), resolved(plain[1])]);
        const [was, is] = plain.map(readPlainPolicy) as [Parameters<typeof judge>[0], Parameters<typeof judge>[0]];
        const names = patternsOf(before, after);
        const differences = comparePolicies(before, after);
        for (const packet of packets) {
          const judged = [was, is].map((policy) => judge(policy, HOST, INSTANCE, packet));
          if (judged.some(({ reason }) => reason === 'platform')) continue;
          const verdicts = judged.map(({ verdict }) => verdict);
          const told = differences.filter((one) => holds(one, packet, names));
          const said = told.map((one) => [one.before.action, one.after.action]);
          expect([packet, said]).toEqual([packet, verdicts[0] === verdicts[1] ? [] : [verdicts]]);
          for (const one of told) {
            expect(nameOf(one.before.rule)).toEqual(nameOf(evaluate(before, packet).rule));
            expect(nameOf(one.after.rule)).toEqual(nameOf(evaluate(after, packet).rule));
          }
        }
      }),
      OPTIONS,
    );
  });

  it('has a witness in each part, of which both policies say what is claimed', async () => {
    await fc.assert(
      fc.asyncProperty(PAIR, async ([one, other]) => {
        const [before, after] = await Promise.all([resolved(one), resolved(other)]);
        const names = patternsOf(before, after);
        for (const difference of comparePolicies(before, after)) {
          const name = difference.interface?.replace('*', 'zz9') ?? 'zz9';
          const local = readAddress(difference.family === 'ipv4' ? '10.1.0.1' : '2001:db8:1::1');
          const witness = witnessOf(difference, { interface: name, local });
          expect([witness, holds(difference, witness, names)]).toEqual([witness, true]);
          expectDecided(before, witness, difference.before);
          expectDecided(after, witness, difference.after);
        }
      }),
      OPTIONS,
    );
  });

  it('with itself is nothing, and the other way round it is the same with its sides changed', async () => {
    await fc.assert(
      fc.asyncProperty(PAIR, async ([one, other]) => {
        const [before, after] = await Promise.all([resolved(one), resolved(other)]);
        expect(comparePolicies(before, before)).toEqual([]);
        const turned = comparePolicies(after, before).map((difference) => ({
          ...difference,
          before: difference.after,
          after: difference.before,
        }));
        const text = (differences: readonly Difference[]): readonly string[] =>
          differences
            .map((difference) =>
              JSON.stringify(difference, (_, value) => (typeof value === 'bigint' ? String(value) : value)),
            )
            .toSorted();
        expect(text(turned)).toEqual(text(comparePolicies(before, after)));
      }),
      OPTIONS,
    );
  });
});

function expectDecided(policy: HostPolicy, packet: Packet, { action, rule, reason }: RuleDecision): void {
  const decision = evaluate(policy, packet);
  if (decision.reason === 'platform') return;
  expect([packet, decision.verdict, nameOf(decision.rule)]).toEqual([packet, action, nameOf(rule)]);
  expect(reason === 'unmanaged' ? 'default' : reason).toBe(decision.reason);
}
