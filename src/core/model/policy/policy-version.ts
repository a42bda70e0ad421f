import type { PolicyReader } from './policy-reader.ts';
import type { PolicyTexts } from './policy-texts.ts';

/** How a policy came into force: its files were saved, it was applied once, it was tried and confirmed, or gone back to. */
export type VersionOrigin = 'file' | 'apply' | 'try' | 'rollback';

/** A policy that was in force, as the list of them tells of it. */
export interface PolicyVersion {
  /** From 1; no number is used twice. */
  readonly number: number;
  /** ISO 8601. */
  readonly time: string;
  readonly origin: VersionOrigin;
  /** The version that was gone back to; null for other origins. */
  readonly of: number | null;
  /** The instance it was in force for. */
  readonly instance: string;
  /** The names of the policy file and then of its drop-ins. */
  readonly documents: readonly string[];
  /** Equal for policies whose files say the same. */
  readonly identity: string;
}

/** A policy that was in force, with all it said. */
export interface KeptPolicy extends PolicyVersion {
  readonly texts: PolicyTexts;
}

/** A policy by which live flows were judged, or are to be. */
export interface JudgedVersion {
  /** Equal for policies whose files say the same. */
  readonly identity: string;
  /** The instance it was in force for. */
  readonly instance: string;
  /** Undefined where not all of it is there any more. */
  open(): Promise<PolicyReader | undefined>;
}
