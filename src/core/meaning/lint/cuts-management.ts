import { findFirstPackets } from '#core/meaning/headerspace/find-first-packets.ts';
import { gridOf, intervalOfRows } from '#core/meaning/headerspace/grid.ts';
import { atomMatches, type TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import { visitBoxes } from '#core/meaning/headerspace/visit-boxes.ts';
import { OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import { TCP } from '#core/model/policy/protocols.ts';
import { formatRuleName, type Rule, type RuleOrigin, type Traffic } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding, LintWitness } from './finding.ts';
import { type LintScope, otherFamily, ruleListAt, witnessAt } from './lint-scope.ts';

const PORT = { from: 22, to: 22 };
const SSH: Traffic = { kind: 'ports', protocol: TCP, ports: [PORT] };
const SSH_CLASS: TrafficAtom = { protocols: [{ from: TCP, to: TCP }], l4Values: PORT };

/** Requirement: no denial comes before all the rules that would allow ssh. */
export const cutsManagement: LintCheck = ({ scopes, patience }) => {
  const found = new Map<RuleOrigin, LintFinding>();
  for (const place of scopes) {
    const other = otherFamily(place, scopes);
    const both = other === undefined ? [place] : [place, other];
    if (place.direction !== 'inbound' || both.some((one) => allowsSsh(one, patience))) continue;
    for (const { rule, witness } of denialsInTheWay(place, patience)) {
      const { origin } = rule;
      if (found.has(origin)) continue;
      found.set(origin, {
        code: 'cuts-management',
        span: origin.span,
        subject: { kind: 'rule', origin },
        message: `\`${formatRuleName(origin)}\` keeps everyone from logging in by ssh on \`${place.pattern}\` of \`${place.policy.instance}\``,
        help: 'allow ssh from where you are before all groups: `platform: { management: [{ protocol: tcp, ports: 22, source: ADDRESS }] }`',
        related: [],
        witness,
      });
    }
  }
  return [...found.values()];
};

function allowsSsh(place: LintScope, patience: Patience): boolean {
  // Members with unknown addresses may well be allowed.
  const mayBe = place.rules.some(
    ({ rule, group }) => group !== undefined && rule.action === 'allow' && matchesSsh(rule.traffic),
  );
  if (mayBe) return true;
  const search = { traffic: SSH, addresses: 'any', action: 'allow' } as const;
  const found = findFirstPackets(ruleListAt(place), [search], { family: place.family, patience }).get(search);
  if (found === 'unknown') throw new OutOfPatience();
  return found !== 'none';
}

function matchesSsh(traffic: Traffic): boolean {
  return atomMatches(traffic, SSH_CLASS);
}

interface Denial {
  readonly rule: Rule;
  readonly witness: LintWitness;
}

/** The denials without which someone could log in: the next rule that matches allows. */
function denialsInTheWay(place: LintScope, patience: Patience): readonly Denial[] {
  const { family } = place;
  const { rules } = ruleListAt(place);
  const about = rules.filter(({ traffic }) => matchesSsh(traffic));
  const grid = gridOf(
    about.map(({ addresses }) => ({ traffic: { kind: 'all' }, addresses })),
    family,
    patience,
  );
  const found = new Map<number, number>();
  visitBoxes(
    { columns: grid.atoms.length, rows: grid.starts.length, layers: [{ areas: grid.areas, upTo: 2 }], patience },
    {
      enter: () => true,
      leaf({ top }, [judges]) {
        if (judges === undefined || judges.length < 2) return;
        const [first, second] = [judges.id(0), judges.id(1)];
        const isInTheWay = about[first]?.decision.action === 'deny' && about[second]?.decision.action === 'allow';
        if (isInTheWay) found.set(first, Math.min(top, found.get(first) ?? top));
      },
    },
  );
  return [...found]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([id, row]) => {
      const rule = about[id]?.decision.rule;
      return rule === undefined ? [] : [{ rule, witness: witnessAt(place, SSH_CLASS, intervalOfRows(grid, row, row)) }];
    });
}
