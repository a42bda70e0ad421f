import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { hostPolicyOf } from '../netns/enforce.ts';
import { judge } from '../oracle/oracle.ts';
import { readPlainPolicy } from '../oracle/read-plain-policy.ts';
import { packetsFor } from './arbitrary-packet.ts';
import { HOST, INSTANCE, POLICY, policyText } from './arbitrary-policy.ts';

const CASE = POLICY.chain((policy) =>
  fc.tuple(fc.constant(policy), fc.array(packetsFor(policy), { minLength: 1, maxLength: 100 })),
);

describe('the evaluator', () => {
  it('says of every packet what the oracle says, from the same file', async () => {
    await fc.assert(
      fc.asyncProperty(CASE, fc.constantFrom('yaml' as const, 'json' as const), async ([plain, packets], notation) => {
        const hostPolicy = await hostPolicyOf(policyText(plain, notation), { host: HOST, instance: INSTANCE });
        const policy = readPlainPolicy(plain);
        for (const packet of packets) {
          const decision = evaluate(hostPolicy, packet);
          const expected = judge(policy, HOST, INSTANCE, packet);
          expect({ packet, verdict: decision.verdict, reason: decision.reason }).toEqual({
            packet,
            verdict: expected.verdict,
            reason: expected.reason,
          });
          if (expected.reason === 'rule' || expected.reason === 'management') {
            expect([packet, nameOf(decision.rule)]).toEqual([packet, nameOf(expected.rule)]);
          }
        }
      }),
    );
  });
});

/** A rule by where it stands, which both readings of a file must agree on. */
function nameOf(rule: ReturnType<typeof judge>['rule']): unknown {
  if (rule === undefined) return undefined;
  const { group, direction, index, template } = rule.origin;
  // A template's rules have no place of their own in the file; how they are counted is not part of the meaning.
  return {
    group,
    direction,
    index: template === undefined ? index : 'of the template',
    template,
    action: rule.action,
    family: rule.family,
  };
}
