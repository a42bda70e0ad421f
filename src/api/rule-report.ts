import { z } from 'zod';
import type { Direction, Rule } from '#core/model/policy/rule.ts';

/** A rule as programs read it: a contract. */
export interface RuleReport {
  /** Null for a management rule. */
  readonly group: string | null;
  readonly direction: Direction;
  readonly index: number;
  readonly priority: number;
  readonly action: 'allow' | 'deny';
  readonly file: string;
  readonly line: number;
  readonly template: string | null;
}

/** The keys of a {@link RuleReport}. */
export const RULE_REPORT = z.looseObject({
  group: z.string().nullable(),
  direction: z.enum(['inbound', 'outbound']),
  index: z.number(),
  priority: z.number(),
  action: z.enum(['allow', 'deny']),
  file: z.string(),
  line: z.number(),
  template: z.string().nullable(),
}) satisfies z.ZodType<RuleReport>;

/** Reports a rule to programs. */
export function reportRule({ origin, action, priority }: Rule): RuleReport {
  const { group, direction, index, template, span } = origin;
  const { file, line } = span;
  return { group: group ?? null, direction, index, priority, action, file, line, template: template ?? null };
}
