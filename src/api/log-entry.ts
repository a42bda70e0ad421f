import { z } from 'zod';
import type { Direction } from '#core/model/policy/rule.ts';
import { RULE_REPORT, type RuleReport } from './rule-report.ts';

/** A logged packet and the rule that decided on it; keys are added, never renamed or removed. */
export interface LogEntry {
  /** ISO 8601. */
  readonly time: string;
  readonly verdict: 'allow' | 'deny';
  readonly reason: 'rule' | 'management' | 'default' | 'platform';
  /** Null where no rule matches. */
  readonly rule: RuleReport | null;
  /** The name of the built-in traffic, where that is the reason. */
  readonly platform?: string | null | undefined;
  /** Null if the interface no longer exists. */
  readonly interface: string | null;
  readonly direction: Direction;
  readonly protocol: string;
  readonly src: string;
  readonly dst: string;
  readonly sport: number | null;
  readonly dport: number | null;
  readonly icmpType: number | null;
  readonly icmpCode: number | null;
  readonly length: number;
}

/** Reads a {@link LogEntry}. */
export const LOG_ENTRY: z.ZodType<LogEntry> = z.looseObject({
  time: z.string(),
  verdict: z.enum(['allow', 'deny']),
  reason: z.enum(['rule', 'management', 'default', 'platform']),
  rule: RULE_REPORT.nullable(),
  platform: z.string().nullable().optional(),
  interface: z.string().nullable(),
  direction: z.enum(['inbound', 'outbound']),
  protocol: z.string(),
  src: z.string(),
  dst: z.string(),
  sport: z.number().nullable(),
  dport: z.number().nullable(),
  icmpType: z.number().nullable(),
  icmpCode: z.number().nullable(),
  length: z.number(),
});
