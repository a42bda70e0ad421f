import type { Rule } from '../model/rule.ts';

/** A rule as scripts read it: a contract. */
export function ruleToJson({ origin, action, priority }: Rule): object {
  const { group, direction, index, template, span } = origin;
  return {
    group: group ?? null,
    direction,
    index,
    priority,
    action,
    file: span.file,
    line: span.line,
    template: template ?? null,
  };
}
