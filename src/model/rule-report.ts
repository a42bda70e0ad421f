import type { RuleReport } from './packet-account.ts';
import type { Rule } from './rule.ts';

/** A rule as programs read it. */
export function reportRule({ origin, action, priority }: Rule): RuleReport {
  const { group, direction, index, template, span } = origin;
  const { file, line } = span;
  return { group: group ?? null, direction, index, priority, action, file, line, template: template ?? null };
}
