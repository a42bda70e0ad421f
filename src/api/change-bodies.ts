import { z } from 'zod';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';

/** The longest timeout of a trial: an operator forgets a longer one. */
export const MAX_TRIAL_SECONDS = 24 * 3600;

/** Asks for a trial of a policy. */
export interface TrialRequest {
  readonly policy: PolicyTexts;
  readonly timeoutSeconds: number;
  /** The name that the status shows; by default that of the policy file. */
  readonly file?: string | undefined;
}

/** Reads a {@link TrialRequest}. */
export const TRIAL_REQUEST: z.ZodType<TrialRequest> = z.strictObject({
  policy: z.strictObject({
    instance: z.string(),
    documents: z.array(z.string()).min(1),
    texts: z.record(z.string(), z.string()),
  }),
  timeoutSeconds: z.number().min(1).max(MAX_TRIAL_SECONDS),
  file: z.string().optional(),
});

/** Asks for an earlier policy. */
export interface RollbackRequest {
  /** Undefined is the policy before the one in force. */
  readonly version?: number | undefined;
  /** Ends a trial, and does nothing if there is none. */
  readonly trialOnly?: boolean | undefined;
}

/** Reads a {@link RollbackRequest}. */
export const ROLLBACK_REQUEST: z.ZodType<RollbackRequest> = z.strictObject({
  version: z.int().positive().optional(),
  trialOnly: z.boolean().optional(),
});
