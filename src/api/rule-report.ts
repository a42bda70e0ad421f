import type { RuleReport } from '#core/model/packet/packet-account.ts';
import type { Rule } from '#core/model/policy/rule.ts';

/** A rule as programs read it. */
export function reportRule({ origin, action, priority }: Rule): RuleReport {
  const { group, direction, index, template, span } = origin;
  const { file, line } = span;
  return { group: group ?? null, direction, index, priority, action, file, line, template: template ?? null };
}
