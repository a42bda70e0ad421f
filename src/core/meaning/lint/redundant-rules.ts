import { formatRuleName, type RuleOrigin } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding } from './finding.ts';
import { witnessAt } from './lint-scope.ts';

/**
 * Requirement: without a rule, some packet would get another verdict. All reported rules can be removed together, with
 * the shadowed ones: none of them decides in another's place. Management rules are exempt: they count once groups change.
 */
export const redundantRules: LintCheck = ({ effects }) => {
  const shadowed = new Set(effects.filter(({ decides }) => decides === undefined).map(({ origin }) => origin));
  const needed = new Set<RuleOrigin>();
  const found = new Map<RuleOrigin, LintFinding>();
  for (const { origin, decides, changes, supports } of effects) {
    if (origin.group === undefined || origin.template !== undefined) continue;
    if (decides === undefined || changes !== undefined || needed.has(origin)) continue;
    const others = new Map([...supports].flatMap((rule) => (rule === undefined ? [] : [[rule.origin, rule] as const])));
    if ([...others.keys()].some((other) => found.has(other) || shadowed.has(other))) continue;
    for (const other of others.keys()) needed.add(other);
    const reason = others.size === 0 ? ': what no rule matches is denied anyway' : '';
    found.set(origin, {
      code: 'redundant-rule',
      span: origin.span,
      subject: { kind: 'rule', origin },
      message: `without \`${formatRuleName(origin)}\` every packet would get the same verdict${reason}`,
      help: 'remove it; or say why it is meant, for the reader: `lint: { redundant-rule: REASON }`',
      related: [...others.values()].map((rule) => ({
        span: rule.origin.span,
        message: `\`${formatRuleName(rule.origin)}\` would decide in its place: ${rule.action}`,
      })),
      witness: witnessAt(decides.scope, decides.atom, decides.interval),
    });
  }
  return [...found.values()];
};
