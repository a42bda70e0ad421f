import type { Change } from '#core/model/nft/change.ts';
import type { Script } from '#core/model/nft/script.ts';
import type { HeldPolicy } from '#core/model/policy/held-policy.ts';
import type { HostInterface, HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { VersionOrigin } from '#core/model/policy/policy-version.ts';
import type { RenderedChange } from '#core/translate/6-change/render-change.ts';
import type { PolicyFiles } from './state.ts';

/** A line of the log. */
export interface LogAction {
  readonly kind: 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Loads the rules that were last in force from disk: as a repair, or for want of a valid policy at the start. */
export interface RestoreAction {
  readonly kind: 'restore-last-good';
  readonly purpose: 'repair' | 'start';
}

/** Makes a change of our table. */
export interface ApplyAction {
  readonly kind: 'apply';
  readonly rendered: RenderedChange;
  readonly hostPolicy: HostPolicy;
  /** What is tried is not kept: a machine that restarts begins with what was in force before. */
  readonly persist: 'boot-script' | 'nothing';
  /** Whether the boot script is what is in force before the change, so that a change of members can be added to it. */
  readonly canAppend: boolean;
  /** Whether the change may bring conntrack in, which is then told first of the flows that live. */
  readonly isFirst: boolean;
  readonly interfaces: readonly HostInterface[];
  /** When planning began, by the monotonic clock. */
  readonly began: number;
}

/** A change of what the inbound rules let in, by which live flows are judged. */
export interface FlowsToJudge {
  /** What was in force; undefined where this process does not know it, and the history is asked. */
  readonly before: HostPolicy | undefined;
  readonly after: HostPolicy;
  readonly host: HostState;
  readonly files: PolicyFiles | undefined;
  /** Our table has forgotten which flows were revoked. */
  readonly isTableNew: boolean;
}

/** A policy to be kept in the history. */
export interface VersionToRecord {
  readonly files: PolicyFiles;
  readonly instance: string;
  readonly origin: VersionOrigin;
  readonly of: number | null;
}

/** What is done once a change is in force. */
export interface FollowUpAction {
  readonly kind: 'follow-up';
  /** Conntrack is told again of the flows of sockets: some came while the rules did. */
  readonly seed: readonly HostInterface[] | undefined;
  readonly flows: FlowsToJudge | undefined;
  readonly record: VersionToRecord | undefined;
  /** The version that the history knows already. */
  readonly recordedVersion: number | undefined;
  /** Logged when the version is known. */
  readonly announcement: LogAction | undefined;
}

/** Changes which labels the rules give to flows. */
export interface RelabelAction {
  readonly kind: 'relabel';
  readonly change: Change;
}

/** What is to be done; plain data, executed in order by `act.ts` and `loop.ts`. */
export type Action =
  | LogAction
  | RestoreAction
  | ApplyAction
  | FollowUpAction
  | RelabelAction
  /** Loads rules that allow SSH in and everything out. */
  | { readonly kind: 'load-limited'; readonly script: Script }
  /** Has unfinished files count as they are, and looks at the policy again. */
  | { readonly kind: 'accept-files' }
  | { readonly kind: 'write-override'; readonly policy: HeldPolicy | undefined }
  /** Begins, or ends, to record who changes tables. */
  | { readonly kind: 'record-writers'; readonly isOn: boolean }
  /** Frees all flows of labels. */
  | { readonly kind: 'free-labels' }
  /** Looks at the policy files again. */
  | { readonly kind: 'recheck-files'; readonly afterMilliseconds: number }
  /** Does the cycle again. */
  | { readonly kind: 'retry'; readonly afterMilliseconds: number; readonly isFirst: boolean }
  /** Has flows judged once more, a while later. */
  | { readonly kind: 'settle-later' };
