import { findFirstPackets, type PacketSearch } from '#core/meaning/headerspace/find-first-packets.ts';
import { atomMatches, trafficAtoms } from '#core/meaning/headerspace/traffic-atoms.ts';
import { highestAddress } from '#core/model/net/address.ts';
import { isWholeFamily } from '#core/model/net/interval.ts';
import { OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import { ECHO_REQUEST } from '#core/model/policy/platform.ts';
import { ICMP, ICMPV6 } from '#core/model/policy/protocols.ts';
import { formatRuleName, type Rule, type RuleOrigin, type Traffic } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding, LintWitness } from './finding.ts';
import { type LintScope, otherFamily, ruleListAt, witnessAt } from './lint-scope.ts';
import type { RuleEffect } from './rule-effects.ts';

/** Requirement: what a rule says of every address over IPv4 holds for some address over IPv6. */
export const ipv4Only: LintCheck = ({ scopes, effects, patience }) => {
  const twins = effects.flatMap((effect) => twinsOf(effect, scopes));
  const missing = new Map<RuleOrigin, Missing>();
  for (const twin of twinsMissing(twins, patience)) {
    const { place, rule, traffic } = twin;
    if (missing.has(rule.origin)) continue;
    const [one] = trafficAtoms([traffic], place.family).filter((some) => atomMatches(traffic, some));
    const everyone = { family: place.family, from: 0n, to: highestAddress(place.family) };
    if (one !== undefined) missing.set(rule.origin, { rule, witness: witnessAt(place, one, everyone) });
  }
  const reported = new Set<string>();
  return effects.flatMap(({ origin }): readonly LintFinding[] => {
    const found = missing.get(origin);
    // The rules of a template stand in one place.
    const key = `${origin.span.file}:${origin.span.line}:${origin.span.column}`;
    if (found === undefined || reported.has(key)) return [];
    reported.add(key);
    return [{ ...findingOf(found), code: 'ipv4-only', span: origin.span, subject: { kind: 'rule', origin } }];
  });
};

/** A rule for IPv4 as it would be for IPv6, and its scope there. */
interface Twin extends PacketSearch {
  readonly place: LintScope;
  readonly rule: Rule;
}

interface Missing {
  readonly rule: Rule;
  readonly witness: LintWitness;
}

function findingOf({ rule, witness }: Missing): Pick<LintFinding, 'message' | 'help' | 'related' | 'witness'> {
  const { origin, action } = rule;
  const isOwn = origin.template === undefined;
  const name = isOwn ? `\`${formatRuleName(origin)}\`` : `the template \`${origin.template ?? ''}\``;
  const what =
    action === 'allow'
      ? 'allows over IPv4 what is denied over IPv6'
      : 'denies over IPv4 what everyone may do over IPv6';
  const fix = isOwn ? 'leave out `type` and use `any`, or add a rule for `::/0`' : 'add rules for `::/0`';
  return {
    message: `${name} ${what}`,
    help: `${fix}; if no host has IPv6: \`lint: { ipv4-only: REASON }\``,
    related: [],
    witness,
  };
}

function twinsOf({ occurrences, decides }: RuleEffect, scopes: readonly LintScope[]): readonly Twin[] {
  // An address list of one family says nothing about the other.
  const isOfIpv6 = ({ scope, lintRule }: RuleEffect['occurrences'][number]): boolean =>
    scope.family === 'ipv6' && (lintRule.certain === 'any' || lintRule.certain.length > 0);
  if (decides === undefined || occurrences.some(isOfIpv6)) return [];
  return occurrences.flatMap(({ scope, lintRule: { rule, certain } }) => {
    const isAboutAll = certain === 'any' || certain.some(isWholeFamily);
    if (!isAboutAll) return [];
    const traffic = twinOf(rule.traffic);
    const other = otherFamily(scope, scopes);
    return traffic === undefined || other === undefined
      ? []
      : [{ place: other, rule, traffic, addresses: 'any', action: rule.action } as const];
  });
}

/** The twins whose action no packet gets. */
function twinsMissing(twins: readonly Twin[], patience: Patience): readonly Twin[] {
  return [...new Set(twins.map(({ place }) => place))].flatMap((place) => {
    const own = twins.filter((twin) => twin.place === place);
    const found = findFirstPackets(ruleListAt(place), own, { family: place.family, patience });
    if ([...found.values()].includes('unknown')) throw new OutOfPatience();
    return own.filter((twin) => found.get(twin) === 'none');
  });
}

/** The same traffic over IPv6; undefined if there is none. */
function twinOf(traffic: Traffic): Traffic | undefined {
  if (traffic.kind === 'icmp') {
    return traffic.type === ECHO_REQUEST[ICMP]
      ? { kind: 'icmp', protocol: ICMPV6, type: ECHO_REQUEST[ICMPV6], code: traffic.code }
      : undefined;
  }
  return traffic.kind === 'protocol' && traffic.protocol === ICMP ? { kind: 'protocol', protocol: ICMPV6 } : traffic;
}
