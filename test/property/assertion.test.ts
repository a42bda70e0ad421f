import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createProver } from '#core/meaning/assert/prove-assertion.ts';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { ruleMatches } from '#core/meaning/evaluate/match-rule.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import { ENDLESS } from '#core/model/policy/patience.ts';
import type { Assertion } from '#core/model/policy/policy.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import { hostPolicyOf } from '../netns/enforce.ts';
import { judge } from '../oracle/oracle.ts';
import { readPlainPolicy } from '../oracle/read-plain-policy.ts';
import { rulePacketsFor } from './arbitrary-packet.ts';
import { HOST, INSTANCE, POLICY, policyText } from './arbitrary-policy.ts';

/** A policy, packets at its edges, and by which of its own rules, narrowed or not, something is asserted. */
const CASE = POLICY.chain((policy) =>
  fc.record({
    policy: fc.constant(policy),
    packets: fc.array(rulePacketsFor(policy).map(asOfNewFlow), { minLength: 1, maxLength: 80 }),
    expected: fc.constantFrom('allow' as const, 'deny' as const),
    picks: fc.array(fc.array(fc.nat({ max: 100 }), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
  }),
);

/** What only its addresses, protocol, ports, type and code tell: no DHCP, and forwarded by a router. */
function asOfNewFlow(packet: Packet): Packet {
  return { ...packet, state: 'new', sourcePort: packet.sourcePort === undefined ? undefined : 50_000, hopLimit: 64 };
}

function rulesOf({ bindings, management }: HostPolicy): readonly Rule[] {
  return [management, ...bindings].flatMap(({ inbound, outbound }) => [...inbound, ...outbound]);
}

/** The traffic of one rule but the remotes of others. */
function assertionOf(
  hostPolicy: HostPolicy,
  picks: readonly number[],
  expected: Assertion['expected'],
): Assertion | undefined {
  const rules = rulesOf(hostPolicy);
  const [asserted, ...except] = picks.flatMap((pick) => rules[pick % Math.max(1, rules.length)] ?? []);
  if (asserted === undefined) return undefined;
  const { family, origin } = asserted;
  return {
    expected,
    traffic: [asserted],
    except: except.filter((rule) => rule.family === family).map(({ remote }) => remote),
    instance: undefined,
    because: undefined,
    span: origin.span,
  };
}

function isAbout({ traffic, except }: Assertion, packet: Packet, policy: HostPolicy): boolean {
  return traffic.some(
    (rule) =>
      rule.origin.direction === packet.direction &&
      ruleMatches(policy, rule, packet) &&
      !except.some((remote) => ruleMatches(policy, { ...rule, remote }, packet)),
  );
}

describe('an assertion', () => {
  it('that is proved holds for every packet it is about; of one that is broken, a packet shows it', async () => {
    let proved = 0;
    let broken = 0;
    await fc.assert(
      fc.asyncProperty(CASE, async ({ policy, packets, expected, picks }) => {
        const hostPolicy = await hostPolicyOf(policyText(policy), { host: HOST, instance: INSTANCE });
        const assertions = picks.flatMap((some) => assertionOf(hostPolicy, some, expected) ?? []);
        const isJudged = (name: string): boolean =>
          hostPolicy.bindings.some(({ pattern }) => patternMatches(pattern, name));
        // Together, as they are proved of a policy: what one finds must not hide what another asks.
        const proofs = createProver(ENDLESS).prove(hostPolicy, assertions);
        for (const [place, assertion] of assertions.entries()) {
          const proof = proofs[place];
          if (proof?.kind === 'holds') {
            proved += 1;
            for (const packet of packets) {
              if (!isJudged(packet.interface) || !isAbout(assertion, packet, hostPolicy)) continue;
              const { verdict, reason } = judge(readPlainPolicy(policy), HOST, INSTANCE, packet);
              expect([packet, reason === 'platform' ? expected : verdict]).toEqual([packet, expected]);
            }
            continue;
          }
          if (proof?.kind !== 'broken') throw new Error('endless patience ended');
          broken += 1;
          const { witness, decision, interface: pattern } = proof.violation;
          expect([witness, isAbout(assertion, witness, hostPolicy)]).toEqual([witness, true]);
          expect(hostPolicy.bindings.find((one) => patternMatches(one.pattern, witness.interface))?.pattern).toBe(
            pattern,
          );
          const evaluated = evaluate(hostPolicy, witness);
          if (evaluated.reason === 'platform') continue;
          expect([witness, evaluated.verdict, evaluated.rule]).toEqual([witness, decision.action, decision.rule]);
          expect(evaluated.verdict).not.toBe(expected);
        }
      }),
    );
    expect(Math.min(proved, broken)).toBeGreaterThan(0);
  });
});
