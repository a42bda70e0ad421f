import { gridOf, intervalOfRows } from '#core/meaning/headerspace/grid.ts';
import { visitBoxes } from '#core/meaning/headerspace/visit-boxes.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import { formatRuleName, type Rule } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';
import type { LintWitness } from './finding.ts';
import { type LintRule, type LintScope, witnessAt } from './lint-scope.ts';
import type { RuleEffect } from './rule-effects.ts';
import { sameMatches } from './same-match.ts';

/** Requirement: a rule decides some packet, on some interface. */
export const shadowedRules: LintCheck = ({ policy, effects, patience }) => {
  const reported = new Set(sameMatches(policy).map(({ second }) => second.origin));
  const shadowed = effects.filter((effect) => isShadowed(effect) && !reported.has(effect.origin));
  const covers = coversOf(shadowed, patience);
  return shadowed.map(({ origin, occurrences }) => {
    const found = occurrences.flatMap(({ lintRule }) => covers.get(lintRule) ?? []);
    const rules = new Map(found.map(({ rule }) => [rule.origin, rule]));
    const isCut = rules.size >= MAX_COVERS;
    return {
      code: 'shadowed-rule',
      span: origin.span,
      subject: { kind: 'rule', origin },
      message: `\`${formatRuleName(origin)}\` has no effect: earlier rules already cover all it matches`,
      help: `remove it, or ${adviceFor(origin, [...rules.values()])}${isCut ? `; ${MAX_COVERS} of the rules before it are shown` : ''}`,
      related: [...rules.values()].slice(0, MAX_COVERS).map((rule) => ({
        span: rule.origin.span,
        message: `\`${formatRuleName(rule.origin)}\` comes first: ${rule.action}`,
      })),
      witness: found[0]?.witness(),
    };
  });
};

/** How to put a rule before those that cover it: with a lower priority number if there is one, or in a group that comes first. */
function adviceFor({ group, template }: Rule['origin'], covers: readonly Rule[]): string {
  const foreign = covers.find(({ origin }) => origin.group !== group);
  if (foreign?.origin.group !== undefined)
    return `have the interface list its group before \`${foreign.origin.group}\``;
  if (foreign !== undefined) return 'narrow the management rules, which come before all groups';
  const first = Math.min(...covers.map(({ priority }) => priority));
  if (first > 1) return `give it priority ${first - 1} or lower`;
  const isTemplates = covers.some(({ origin }) => origin.template !== undefined && template === undefined);
  return isTemplates
    ? "move it to a group of its own that the interface lists first: the template's rules have priority 1"
    : 'give the rules before it a higher priority number than its own';
}

/** At most this many covering rules are reported: thousands can cover one. */
const MAX_COVERS = 20;

function isShadowed({ origin, occurrences, decides }: RuleEffect): boolean {
  const canMatch = occurrences.some(({ lintRule: { possible } }) => possible === 'any' || possible.length > 0);
  return origin.template === undefined && decides === undefined && canMatch;
}

interface Cover {
  readonly rule: Rule;
  readonly witness: () => LintWitness;
}

type Occurrence = RuleEffect['occurrences'][number];

/** The first of the rules that together decide all packets which each shadowed rule matches. */
function coversOf(shadowed: readonly RuleEffect[], patience: Patience): ReadonlyMap<LintRule, readonly Cover[]> {
  const byPlace = new Map<LintScope, Map<string, Occurrence[]>>();
  for (const judge of shadowed.flatMap(({ occurrences }) => occurrences)) {
    const { scope: place, lintRule } = judge;
    const byGroup = byPlace.get(place) ?? new Map<string, Occurrence[]>();
    byPlace.set(place, byGroup);
    const own = byGroup.get(lintRule.group ?? '') ?? [];
    byGroup.set(lintRule.group ?? '', own);
    own.push(judge);
  }
  const found = new Map<LintRule, readonly Cover[]>();
  for (const [place, byGroup] of byPlace) {
    for (const judges of byGroup.values()) {
      const candidates = judges.map(({ lintRule }) => lintRule);
      for (const [lintRule, covers] of coversIn(place, candidates, patience)) found.set(lintRule, covers);
    }
  }
  return found;
}

/** The covers of rules of one scope that all have the same group of unknown members, or none. */
function coversIn(
  place: LintScope,
  asked: readonly LintRule[],
  patience: Patience,
): ReadonlyMap<LintRule, readonly Cover[]> {
  const { family, rules } = place;
  const group = asked[0]?.group;
  const extents = [
    ...rules.map((one) => ({
      traffic: one.rule.traffic,
      // This rule matches the packets of every member of the group.
      addresses: group !== undefined && one.group === group ? ('any' as const) : one.certain,
    })),
    ...asked.map(({ rule, possible }) => ({ traffic: rule.traffic, addresses: possible })),
  ];
  const grid = gridOf(extents, family, patience);
  const found = asked.map(
    () => new Map<number, { readonly order: number; readonly column: number; readonly row: number }>(),
  );
  const layers = [
    { areas: grid.areas.slice(0, rules.length), upTo: 1 },
    {
      areas: grid.areas.slice(rules.length),
      upTo: 'none',
      isAsked: (id: number) => (found[id]?.size ?? 0) < MAX_COVERS,
    },
  ] as const;
  visitBoxes(
    { columns: grid.atoms.length, rows: grid.starts.length, layers, patience },
    {
      enter: () => true,
      leaf(_, [judges, about]) {
        const decider = judges?.first();
        if (decider === undefined || about === undefined) return;
        for (let member = 0; member < about.length; member += 1) {
          const { column, row } = about.firstCell(member);
          const order = column * grid.starts.length + row;
          const covers = found[about.id(member)];
          const known = covers?.get(decider);
          if (known === undefined || order < known.order) covers?.set(decider, { order, column, row });
        }
      },
    },
  );
  return new Map(
    asked.map((lintRule, id) => [
      lintRule,
      [...(found[id] ?? [])]
        .toSorted(([, a], [, b]) => a.order - b.order)
        .flatMap(([decider, { column, row }]): readonly Cover[] => {
          const [rule, one] = [rules[decider]?.rule, grid.atoms[column]];
          if (rule === undefined || one === undefined) return [];
          return [{ rule, witness: () => witnessAt(place, one, intervalOfRows(grid, row, row)) }];
        }),
    ]),
  );
}
