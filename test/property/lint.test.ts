import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LintInput } from '#core/meaning/lint/check.ts';
import { lintScopesOf, witnessAt } from '#core/meaning/lint/lint-scope.ts';
import { redundantRules } from '#core/meaning/lint/redundant-rules.ts';
import { effectsOf, type PacketExample, type RuleEffect } from '#core/meaning/lint/rule-effects.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { GroupName } from '#core/model/policy/names.ts';
import { ENDLESS } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { Rule, RuleOrigin } from '#core/model/policy/rule.ts';
import { hostPolicyOf } from '../netns/enforce.ts';
import { type Judgement, judge } from '../oracle/oracle.ts';
import type { PlainPolicy } from '../oracle/plain-policy.ts';
import { readPlainPolicy } from '../oracle/read-plain-policy.ts';
import { rulePacketsFor } from './arbitrary-packet.ts';
import { HOST, INSTANCE, POLICY, policyText } from './arbitrary-policy.ts';

const RUNS = process.env['PROPERTY_RUNS'];
const OPTIONS = RUNS === undefined ? {} : { numRuns: Math.ceil(Number(RUNS) / 8) };

const CASE = POLICY.chain((policy) =>
  fc.tuple(fc.constant(policy), fc.array(rulePacketsFor(policy).map(asOfNewFlow), { minLength: 1, maxLength: 80 })),
);

/** What only its addresses, protocol, ports, type and code tell: no DHCP, and forwarded by a router. */
function asOfNewFlow(packet: Packet): Packet {
  return { ...packet, state: 'new', sourcePort: packet.sourcePort === undefined ? undefined : 50_000, hopLimit: 64 };
}

/** What the advisor knows of the rules where every address is told. */
async function known(plain: PlainPolicy): Promise<readonly RuleEffect[]> {
  const host = await hostPolicyOf(policyText(plain), { host: HOST, instance: INSTANCE });
  return effectsOf(lintScopesOf([host], new Set()), ENDLESS).effects;
}

/** What it knows where no policy tells the addresses of members. */
async function knownWithoutMembers(plain: PlainPolicy): Promise<readonly RuleEffect[]> {
  const hidden = JSON.parse(JSON.stringify(plain)) as {
    instances?: Record<string, { interfaces?: Record<string, { addresses?: unknown; securityGroups?: string[] }> }>;
  };
  const interfaces = Object.values(hidden.instances ?? {}).flatMap((one) => Object.values(one.interfaces ?? {}));
  for (const one of interfaces) delete one.addresses;
  const text = policyText(hidden as unknown as PlainPolicy);
  const host = await hostPolicyOf(text, { host: { ...HOST, interfaces: [] }, instance: INSTANCE });
  const groups = interfaces.flatMap(({ securityGroups = [] }) => securityGroups as GroupName[]);
  return effectsOf(lintScopesOf([host], new Set(groups)), ENDLESS).effects;
}

/** The two read the rules of a template in orders of their own. */
function nameOf({ group, direction, index, template }: RuleOrigin): string {
  return JSON.stringify([group ?? null, direction, template ?? index]);
}

function judged(policy: Policy, packet: Packet): Judgement {
  return judge(policy, HOST, INSTANCE, packet);
}

/** The policy without the rules of these names. */
function without(policy: Policy, names: ReadonlySet<string>): Policy {
  const keep = (rules: readonly Rule[]): readonly Rule[] => rules.filter(({ origin }) => !names.has(nameOf(origin)));
  return {
    ...policy,
    management: keep(policy.management),
    securityGroups: new Map(
      [...policy.securityGroups].map(([name, group]) => [
        name,
        { ...group, inbound: keep(group.inbound), outbound: keep(group.outbound) },
      ]),
    ),
  };
}

function witnessOf({ scope, atom, interval }: PacketExample): Packet {
  return witnessAt(scope, atom, interval).packet;
}

function redundant(effects: readonly RuleEffect[]): ReadonlySet<string> {
  const found = redundantRules({ effects } as LintInput);
  return new Set(found.flatMap(({ subject }) => (subject.kind === 'rule' ? [nameOf(subject.origin)] : [])));
}

describe('what the advisor says of rules', () => {
  it('that one decides, and that it changes something, has a packet of which the oracle says so', async () => {
    let decided = 0;
    let changed = 0;
    await fc.assert(
      fc.asyncProperty(POLICY, async (plain) => {
        const policy = readPlainPolicy(plain);
        for (const { origin, decides, changes } of await known(plain)) {
          if (decides !== undefined) {
            const packet = witnessOf(decides);
            const judgement = judged(policy, packet);
            if (judgement.reason === 'platform') continue;
            expect([packet, judgement.rule && nameOf(judgement.rule.origin)]).toEqual([packet, nameOf(origin)]);
            decided += 1;
          }
          if (changes !== undefined && origin.template === undefined) {
            const packet = witnessOf(changes);
            const { verdict, reason } = judged(policy, packet);
            // What is built in is judged whatever rules say.
            if (reason === 'platform') continue;
            const other = judged(without(policy, new Set([nameOf(origin)])), packet).verdict;
            expect([packet, verdict === other]).toEqual([packet, false]);
            changed += 1;
          }
        }
      }),
      OPTIONS,
    );
    expect(decided).toBeGreaterThan(100);
    expect(changed).toBeGreaterThan(100);
  });

  it.each([
    ['all addresses are told', known],
    ['no member is told', knownWithoutMembers],
  ])(
    'that one never decides, and that all of some change nothing, is true of every packet: %s',
    async (_, effectsFor) => {
      let shadowed = 0;
      let needless = 0;
      await fc.assert(
        fc.asyncProperty(CASE, async ([plain, packets]) => {
          const effects = await effectsFor(plain);
          const policy = readPlainPolicy(plain);
          const never = new Set(
            effects
              .filter(({ origin, decides }) => origin.template === undefined && decides === undefined)
              .map(({ origin }) => nameOf(origin)),
          );
          const gone = redundant(effects);
          const less = without(policy, new Set([...never, ...gone]));
          shadowed += never.size;
          needless += gone.size;
          for (const packet of packets) {
            const { rule, verdict } = judged(policy, packet);
            expect([packet, rule !== undefined && never.has(nameOf(rule.origin))]).toEqual([packet, false]);
            expect([packet, judged(less, packet).verdict]).toEqual([packet, verdict]);
          }
        }),
        OPTIONS,
      );
      expect(shadowed).toBeGreaterThan(20);
      expect(needless).toBeGreaterThan(20);
    },
  );
});
