import type { LoadedPolicy } from '#core/loaded-policy.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { WaitingFile } from '#host/files/settling.ts';
import type { ApplyAction, FollowUpAction, RelabelAction, RestoreAction } from './action.ts';
import type { Failure } from './failure.ts';
import type { PolicyOverride } from './state.ts';

/** When something was observed. */
export interface Instant {
  readonly date: Date;
  /** By a clock that nobody sets. */
  readonly milliseconds: number;
}

/** What the policy files say, as far as they count. */
export interface ObservedPolicy {
  /** `wait`: they are being written, or may be half saved; `proving`: their assertions are being proved. */
  readonly kind: 'wait' | 'proving' | 'valid' | 'invalid';
  readonly loaded: LoadedPolicy;
  /** The files that the policy consists of now. */
  readonly files: readonly string[];
  readonly waiting: readonly WaitingFile[];
  /** The files are worth another look after this many milliseconds; undefined where nothing is waited for. */
  readonly recheckMilliseconds: number | undefined;
  /** Whether time alone decides what becomes of them. */
  readonly isSettling: boolean;
  /** Whether a proof has begun with this look. */
  readonly isProofNew: boolean;
  /** By the monotonic clock: from then on they have rested. */
  readonly settleAt: number;
}

/** What the kernel holds of our table. */
export interface ObservedTable {
  readonly found: InForce | undefined;
  /**
   * `same`: what was expected; `other`: another process changed it, or nothing was expected; `uncertain`: it looks like
   * what was expected, but another process changed some table while we changed ours.
   */
  readonly is: 'same' | 'other' | 'uncertain';
  /** Whether something was expected: what differs then is drift. */
  readonly isExpected: boolean;
  /** Who changed tables since we looked or changed one, where that is known. */
  readonly writers: readonly string[];
}

/** The outcome of a step that keeps something on disk: undefined where it was written. */
export type SaveOutcome = Failure | undefined;

/** What {@link decide} goes by: what was seen, what was asked for, or what became of the last actions. */
export type Observation = {
  readonly at: Instant;
  /** The steps that kept something on disk since the observation before, in order. */
  readonly saves?: readonly SaveOutcome[];
} & (
  | {
      /** The start of a cycle: what was pending was looked at. */
      readonly kind: 'seen';
      /** A reload was asked for: all of our table is replaced. */
      readonly isReplacementRequested: boolean;
      readonly policy?: ObservedPolicy | undefined;
      readonly host?: HostState | undefined;
      readonly table?: ObservedTable | undefined;
      /** Known where the table is absent. */
      readonly isTracking?: boolean | undefined;
      /** What kept the rest from being looked at. */
      readonly failure?: Failure | undefined;
    }
  | {
      readonly kind: 'restored';
      readonly action: RestoreAction;
      /** Whether there was a last good script. */
      readonly isLoaded: boolean;
      readonly table: ObservedTable | undefined;
      readonly isTracking?: boolean | undefined;
      readonly failure: Failure | undefined;
    }
  | {
      readonly kind: 'limited';
      readonly table: ObservedTable | undefined;
      readonly isTracking?: boolean | undefined;
      readonly failure: Failure | undefined;
    }
  | { readonly kind: 'accepted'; readonly policy: ObservedPolicy | undefined; readonly failure: Failure | undefined }
  | {
      readonly kind: 'applied';
      readonly action: ApplyAction;
      /** Whether the boot script is what is in force now. */
      readonly isBootScriptCurrent: boolean;
      readonly failure: Failure | undefined;
    }
  | {
      readonly kind: 'followed-up';
      readonly action: FollowUpAction;
      /** The number of what was recorded; undefined where that failed, or nothing was to be recorded. */
      readonly version: number | undefined;
    }
  /** Nothing but what `saves` says. */
  | { readonly kind: 'saved' }
  /** The cycle ended by an error that no action expects. */
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'override-set'; readonly override: PolicyOverride | undefined }
  /** Our table was removed on request. */
  | { readonly kind: 'cleared' }
  /** A while after a change: flows are to be judged once more. */
  | { readonly kind: 'settled'; readonly isTracking: boolean }
  | { readonly kind: 'relabelled'; readonly action: RelabelAction; readonly failure: Failure | undefined }
  | { readonly kind: 'labels-freed'; readonly isDone: boolean; readonly failure: Failure | undefined }
);

/** The observations of one kind. */
export type ObservationOf<Kind extends Observation['kind']> = Extract<Observation, { readonly kind: Kind }>;
