import { isWholeFamily } from '../../model/interval.ts';
import { formatRuleName, type Rule, type Traffic } from '../../model/rule.ts';
import { deciderAt, judging, lineOf } from '../sides.ts';
import { classMatches, trafficClasses } from '../traffic-classes.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding, LintWitness } from './finding.ts';
import { otherFamily, type Place, sideAt, witnessAt } from './place.ts';
import type { RuleEffect } from './rule-effects.ts';

const ECHO_REQUEST = { ipv4: 8, ipv6: 128 } as const;

/** Requirement: what a rule says of everybody over IPv4 is true over IPv6 of somebody. */
export const ipv4Only: LintCheck = ({ places, effects }) => {
  const told = new Set<string>();
  return effects.flatMap((effect): readonly LintFinding[] => {
    const { origin } = effect;
    const missing = missingTwin(effect, places);
    // The rules of a template stand in one place.
    const key = `${origin.span.file}:${origin.span.line}:${origin.span.column}`;
    if (missing === undefined || told.has(key)) return [];
    told.add(key);
    return [{ ...findingOf(missing), code: 'ipv4-only', span: origin.span, subject: { kind: 'rule', origin } }];
  });
};

interface Missing {
  readonly rule: Rule;
  readonly witness: LintWitness;
}

function findingOf({ rule, witness }: Missing): Pick<LintFinding, 'message' | 'help' | 'related' | 'witness'> {
  const { origin, action } = rule;
  const isOwn = origin.template === undefined;
  const name = isOwn ? `\`${formatRuleName(origin)}\`` : `the template \`${origin.template ?? ''}\``;
  const what =
    action === 'allow' ? 'allows over IPv4 what is denied over IPv6' : 'denies over IPv4 what everybody may over IPv6';
  const mend = isOwn ? 'leave `type` out and say `any`, or add a rule for `::/0`' : 'add rules for `::/0`';
  return {
    message: `${name} ${what}`,
    help: `${mend}; where no host has IPv6: \`lint: { ipv4-only: REASON }\``,
    related: [],
    witness,
  };
}

function missingTwin({ judges, decides }: RuleEffect, places: readonly Place[]): Missing | undefined {
  // A list of one family's addresses says nothing of the other.
  const isOfIpv6 = ({ place, candidate }: RuleEffect['judges'][number]): boolean =>
    place.family === 'ipv6' && (candidate.certain === 'any' || candidate.certain.length > 0);
  if (decides === undefined || judges.some(isOfIpv6)) return undefined;
  for (const { place, candidate } of judges) {
    const { rule, certain } = candidate;
    const { traffic } = rule;
    const isAboutAll = certain === 'any' || certain.some(isWholeFamily);
    const twin = twinOf(traffic);
    const other = otherFamily(place, places);
    if (!isAboutAll || twin === undefined || other === undefined) continue;
    const witness = judgedOtherwise(other, twin, rule);
    if (witness !== undefined) return { rule, witness };
  }
  return undefined;
}

/** The same traffic over IPv6; undefined where there is none. */
function twinOf(traffic: Traffic): Traffic | undefined {
  if (traffic.kind === 'icmp') {
    return traffic.type === ECHO_REQUEST.ipv4
      ? { kind: 'icmp', protocol: 58, type: ECHO_REQUEST.ipv6, code: traffic.code }
      : undefined;
  }
  return traffic.kind === 'protocol' && traffic.protocol === 1 ? { kind: 'protocol', protocol: 58 } : traffic;
}

/** A packet of the traffic, if none of it is judged as the rule says. */
function judgedOtherwise(place: Place, traffic: Traffic, { action }: Rule): LintWitness | undefined {
  const side = sideAt(place);
  const { family } = place;
  let witness: LintWitness | undefined;
  for (const one of trafficClasses([...side.candidates.map((candidate) => candidate.traffic), traffic], family)) {
    if (!classMatches(traffic, one)) continue;
    const judges = judging(side, one);
    for (const { from, to, decider } of lineOf(judges, family)) {
      if (deciderAt(judges, decider).action === action) return undefined;
      witness ??= witnessAt(place, one, { family, from, to });
    }
  }
  return witness;
}
