import type { PolicyTexts } from './policy-texts.ts';
import type { VersionOrigin } from './policy-version.ts';

/** A policy that is in force in place of what the policy's files say. */
export type HeldPolicy = TriedPolicy | PinnedPolicy;

/** In force until it is confirmed or its time is up; what was in force before comes back then. */
export interface TriedPolicy {
  readonly kind: 'tried';
  readonly texts: PolicyTexts;
  /** The file that is tried, where it is not called as the texts call it; undefined where it is. */
  readonly file?: string | undefined;
  readonly before: PolicyTexts;
  /** Identifies what the files said when the trial began. */
  readonly files: string;
  readonly deadline: Deadline;
}

/** In force until the files say something other than they did when it was pinned. */
export interface PinnedPolicy {
  readonly kind: 'pinned';
  readonly texts: PolicyTexts;
  /** Identifies what the files said then. */
  readonly files: string;
  readonly origin: VersionOrigin;
  /** The version that was gone back to. */
  readonly of: number | null;
}

/** A moment that no change of the clock moves, and that a reboot ends. */
export interface Deadline {
  readonly bootId: string;
  /** Seconds since the machine started. */
  readonly uptimeSeconds: number;
}
