import { z } from 'zod';
import type { Direction } from '#core/model/policy/rule.ts';
import { RULE_REPORT, type RuleReport } from './rule-report.ts';

/** How many packets each rule has decided on; keys are added, never renamed or removed. */
export interface RuleHits {
  /** Whether packets are counted by rule; if not, only packets that no rule matches are counted. */
  readonly counters: boolean;
  /** Every rule that can match packets of this host, in the order of the policy's files. */
  readonly rules: readonly (RuleReport & HitCount)[];
  /** Built-in traffic that is denied. */
  readonly platform?: readonly PlatformHits[] | undefined;
  /** Packets that no rule matches. */
  readonly defaults: readonly (HitCount & {
    readonly direction: Direction;
    /** Interfaces and globs; empty stands for the interfaces that the policy does not name. */
    readonly interfaces: readonly string[];
  })[];
}

/** Denied packets of one kind of built-in traffic. */
export interface PlatformHits extends HitCount {
  readonly name: string;
  readonly direction: Direction;
}

/** Packets and bytes since the rule came into force. */
export interface HitCount {
  readonly packets: number;
  readonly bytes: number;
}

const direction = z.enum(['inbound', 'outbound']);
const hits = { packets: z.number(), bytes: z.number() };

/** Reads {@link RuleHits}. */
export const RULE_HITS: z.ZodType<RuleHits> = z.looseObject({
  counters: z.boolean(),
  rules: z.array(RULE_REPORT.extend(hits)),
  platform: z.array(z.looseObject({ name: z.string(), direction, ...hits })).optional(),
  defaults: z.array(z.looseObject({ direction, interfaces: z.array(z.string()), ...hits })),
});
