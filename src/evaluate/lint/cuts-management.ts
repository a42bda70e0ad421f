import { formatRuleName, type RuleOrigin, type Rule, type Traffic } from '../../model/rule.ts';
import { deciderAt, judging, lineOf, type Side } from '../sides.ts';
import { classMatches, type TrafficClass, trafficClasses } from '../traffic-classes.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding, LintWitness } from './finding.ts';
import { otherFamily, type Place, sideAt, witnessAt } from './place.ts';

const SSH: Traffic = { kind: 'ports', protocol: 6, ports: [{ from: 22, to: 22 }] };

/** Requirement: no denial comes before all the rules that would let somebody log in by ssh. */
export const cutsManagement: LintCheck = ({ places }) => {
  const found = new Map<RuleOrigin, LintFinding>();
  for (const place of places) {
    const other = otherFamily(place, places);
    const both = other === undefined ? [place] : [place, other];
    if (place.direction !== 'inbound' || both.some(letsSomebodyIn)) continue;
    for (const { rule, witness } of denialsInTheWay(place)) {
      const { origin } = rule;
      if (found.has(origin)) continue;
      found.set(origin, {
        code: 'cuts-management',
        span: origin.span,
        subject: { kind: 'rule', origin },
        message: `\`${formatRuleName(origin)}\` keeps everybody from logging in by ssh on \`${place.pattern}\` of \`${place.policy.instance}\``,
        help: 'let in ssh from where you are before all groups: `platform: { management: [{ protocol: tcp, ports: 22, source: ADDRESS }] }`',
        related: [],
        witness,
      });
    }
  }
  return [...found.values()];
};

function letsSomebodyIn(place: Place): boolean {
  const { side, one } = sshAt(place);
  // Members that nobody knows may well be let in.
  const mayBe = place.candidates.some(
    ({ rule, group }) => group !== undefined && rule.action === 'allow' && classMatches(rule.traffic, one),
  );
  if (mayBe) return true;
  return allowedIn(side, one, place) !== undefined;
}

function sshAt(place: Place): { readonly side: Side; readonly one: TrafficClass } {
  const side = sideAt(place);
  const classes = trafficClasses([...side.candidates.map(({ traffic }) => traffic), SSH], place.family);
  const one = classes.find((some) => classMatches(SSH, some));
  if (one === undefined) throw new Error('ssh is in no class of traffic');
  return { side, one };
}

/** Addresses that a side lets in. */
function allowedIn(side: Side, one: TrafficClass, { family }: Place) {
  const judges = judging(side, one);
  return lineOf(judges, family).find(({ decider }) => deciderAt(judges, decider).action === 'allow');
}

/** The denials without each of which somebody could log in. */
function* denialsInTheWay(place: Place): Generator<{ readonly rule: Rule; readonly witness: LintWitness }> {
  const { side, one } = sshAt(place);
  const { family } = place;
  for (const denial of side.candidates) {
    const { rule, action } = denial.decider;
    if (action === 'allow' || rule === undefined || !classMatches(denial.traffic, one)) continue;
    const without: Side = { ...side, candidates: side.candidates.filter((candidate) => candidate !== denial) };
    const allowed = allowedIn(without, one, place);
    if (allowed === undefined) continue;
    yield { rule, witness: witnessAt(place, one, { family, from: allowed.from, to: allowed.to }) };
  }
}
