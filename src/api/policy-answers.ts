import { z } from 'zod';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import type { KeptPolicy, PolicyVersion, VersionOrigin } from '#core/model/policy/policy-version.ts';

/** Reads the {@link VersionOrigin} of a policy. */
export const ORIGIN: z.ZodType<VersionOrigin> = z.enum(['file', 'apply', 'try', 'rollback']);

/** Reads a policy by its files; `documents` names at least the policy file. */
export const POLICY_TEXTS: z.ZodType<PolicyTexts> = z.looseObject({
  instance: z.string(),
  documents: z.array(z.string()).min(1),
  texts: z.record(z.string(), z.string()),
});

const VERSION = z.looseObject({
  number: z.int().positive(),
  time: z.string(),
  origin: ORIGIN,
  of: z.number().nullable(),
  instance: z.string(),
  documents: z.array(z.string()),
  identity: z.string(),
});

/** Reads the list of policies that were in force. */
export const VERSIONS: z.ZodType<{ readonly versions: readonly PolicyVersion[] }> = z.looseObject({
  versions: z.array(VERSION),
});

/** Reads one of those policies with its texts. */
export const KEPT_POLICY: z.ZodType<KeptPolicy> = VERSION.extend({ texts: POLICY_TEXTS });
