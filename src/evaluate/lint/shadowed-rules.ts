import { formatRuleName, type Rule } from '../../model/rule.ts';
import { addressLine, overlay } from '../address-line.ts';
import { classMatches, trafficClasses } from '../traffic-classes.ts';
import type { LintCheck } from './check.ts';
import type { LintWitness } from './finding.ts';
import { type LintCandidate, type Place, witnessAt } from './place.ts';
import type { RuleEffect } from './rule-effects.ts';
import { sameMatches } from './same-match.ts';

/** Requirement: a rule decides on some packet, on some interface. */
export const shadowedRules: LintCheck = ({ policy, effects }) => {
  const told = new Set(sameMatches(policy).map(({ second }) => second.origin));
  return effects
    .filter((effect) => isShadowed(effect) && !told.has(effect.origin))
    .map(({ origin, judges }) => {
      const covers = new Map<Rule['origin'], Rule>();
      let witness: LintWitness | undefined;
      for (const { place, candidate } of judges) {
        for (const cover of coversOf(place, candidate)) {
          covers.set(cover.rule.origin, cover.rule);
          witness ??= cover.witness();
        }
      }
      return {
        code: 'shadowed-rule',
        span: origin.span,
        subject: { kind: 'rule', origin },
        message: `\`${formatRuleName(origin)}\` never decides: every packet it is about is decided on before it`,
        help: 'take it out, or give it a lower priority number than the rules that cover it',
        related: [...covers.values()].map((rule) => ({
          span: rule.origin.span,
          message: `\`${formatRuleName(rule.origin)}\` covers it: ${rule.action}`,
        })),
        witness,
      };
    });
};

function isShadowed({ origin, judges, decides }: RuleEffect): boolean {
  const isAboutSomebody = judges.some(({ candidate: { possible } }) => possible === 'any' || possible.length > 0);
  return origin.template === undefined && decides === undefined && isAboutSomebody;
}

interface Cover {
  readonly rule: Rule;
  readonly witness: () => LintWitness;
}

/** The rules that decide, between them, on all packets that a shadowed one is about. */
function coversOf(place: Place, candidate: LintCandidate): readonly Cover[] {
  const { family, candidates } = place;
  const before = candidates.slice(0, candidates.indexOf(candidate));
  const traffics = candidates.map(({ rule }) => rule.traffic);
  const region = addressLine([candidate.possible], family);
  const isOfGroup = ({ group }: LintCandidate): boolean => group !== undefined && group === candidate.group;
  const found = new Map<Rule, Cover>();
  for (const one of trafficClasses(traffics, family)) {
    if (!classMatches(candidate.rule.traffic, one)) continue;
    const judging = before.filter(({ rule }) => classMatches(rule.traffic, one));
    const line = addressLine(
      judging.map((other) => (isOfGroup(other) ? 'any' : other.certain)),
      family,
    );
    for (const { from, to, one: isAbout, other } of overlay(region, line)) {
      const rule = other === undefined ? undefined : judging[other]?.rule;
      if (isAbout === undefined || rule === undefined || found.has(rule)) continue;
      found.set(rule, { rule, witness: () => witnessAt(place, one, { family, from, to }) });
    }
  }
  return [...found.values()];
}
