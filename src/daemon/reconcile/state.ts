import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import type { HeldPolicy } from '#core/model/policy/held-policy.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { identityOfTexts, policyTexts } from '#host/files/policy-texts.ts';
import type { WaitingFile, WaitReason } from '#host/files/settling.ts';

/** A policy file that is not in force, and why. */
export interface Refusal {
  readonly since: Date;
  readonly diagnostics: readonly Diagnostic[];
  /** The files' texts as they were, to show the places. */
  readonly sources: ReadonlyMap<string, string>;
}

/** A problem that is not the policy's: nft missing, the kernel refusing, a full disk. */
export interface Problem {
  readonly since: Date;
  readonly message: string;
}

/** The texts of a policy's files. */
export type PolicyFiles = Pick<LoadedPolicy, 'documents' | 'sources'>;

/** A policy in force in place of what the files say, loaded. */
export interface PolicyOverride {
  readonly policy: HeldPolicy;
  readonly loaded: LoadedPolicy;
  readonly since: Date;
}

/** Which instance this host is, and by which name it was found; undefined before it was found. */
export interface HostIdentity {
  readonly instance: string | undefined;
  readonly foundByName: string | undefined;
  /** Why the instance may not be the one that is meant. */
  readonly doubt: Problem | undefined;
}

/** What the policy files have still to show before they are accepted or refused. */
export interface AwaitedFiles {
  /** The files are worth another look after this many milliseconds; undefined where nothing is waited for. */
  readonly recheckMilliseconds: number | undefined;
  /** Whether time alone decides what becomes of them. */
  readonly isSettling: boolean;
  /** Whether the newest files are neither accepted nor refused yet. */
  readonly isUndecided: boolean;
}

/** Everything the daemon knows and has decided; {@link decide} alone makes the next one. */
export interface DaemonState {
  /** The newest valid policy of the files, and the files that say it. */
  readonly policy: Policy | undefined;
  readonly files: PolicyFiles | undefined;
  readonly warnings: readonly Diagnostic[];
  /** The names of the files that the policy consisted of at the last look, unreadable ones included. */
  readonly fileNames: readonly string[];
  /** Files that do not count yet, because they are being written; what they said before stands in for them. */
  readonly waiting: readonly WaitingFile[];
  readonly awaited: AwaitedFiles;
  /** By the monotonic clock: from then on the files have rested long enough to be refused for what they lack. */
  readonly filesSettleAt: number;
  /** Whether users other than root could have written the newest files. */
  readonly isUntrusted: boolean;
  /** The newest state of the policy's files, where that is not what is in force. */
  readonly refusal: Refusal | undefined;

  /** What is to be in force in place of the files. */
  readonly override: PolicyOverride | undefined;
  /** The rules were removed on request, and stay away until the policy changes. */
  readonly isCleared: boolean;
  /** The next change replaces all of our table, whatever it seems to hold. */
  readonly isReplacementRequested: boolean;

  readonly host: HostState | undefined;
  readonly identity: HostIdentity;
  /** The notes about interfaces that are logged already. */
  readonly interfaceNotes: readonly string[];

  /** What is in force, as this host sees it. */
  readonly hostPolicy: HostPolicy | undefined;
  /** The files that say what is in force; undefined where that was found in the kernel or kept from an earlier run. */
  readonly filesInForce: PolicyFiles | undefined;
  readonly appliedAt: Date | undefined;
  /** The number of what is in force in the history; undefined where it is not kept there. */
  readonly version: number | undefined;
  /** The files recorded last in the history, and their number there. */
  readonly recorded: { readonly files: PolicyFiles; readonly version: number } | undefined;

  /** Our table as last observed or left; undefined where it is absent. */
  readonly inForce: InForce | undefined;
  /** Whether `inForce` is what the kernel holds, as far as its changes are noticed; it is not before the first look and after a failure. */
  readonly isTableKnown: boolean;
  /** Our table was made again, or by others, since flows were judged, and has forgotten which are revoked. */
  readonly isTableNew: boolean;
  /** Whether conntrack knew flows when the table was last found absent. */
  readonly isTracking: boolean;

  /** Whether the script that boots the host may be another than what is in force. */
  readonly isBootScriptStale: boolean;
  readonly isLastGoodMissing: boolean;

  /** Why the kernel could not be changed. */
  readonly kernelProblem: Problem | undefined;
  /** Why what is in force could not be kept for the next boot. */
  readonly savingProblem: Problem | undefined;
  /** Another process undoes what we do. */
  readonly interference: Problem | undefined;
  /** When changes by others were repaired, by the monotonic clock: those of the last minute and some before. */
  readonly recentRepairs: readonly number[];
  /** After the next failure the daemon waits this long. */
  readonly retryMilliseconds: number;

  /** Changes applied, and changes by others that were undone, since the daemon started. */
  readonly applied: number;
  readonly repairs: number;
}

/** After the first of a row of failures. */
export const FIRST_RETRY_MILLISECONDS = 1_000;

/** Nothing is awaited of the files. */
export const NOTHING_AWAITED: AwaitedFiles = {
  recheckMilliseconds: undefined,
  isSettling: false,
  isUndecided: false,
};

/** The state of a daemon that has observed nothing. */
export const INITIAL_STATE: DaemonState = {
  policy: undefined,
  files: undefined,
  warnings: [],
  fileNames: [],
  waiting: [],
  awaited: NOTHING_AWAITED,
  filesSettleAt: Number.NEGATIVE_INFINITY,
  isUntrusted: false,
  refusal: undefined,
  override: undefined,
  isCleared: false,
  isReplacementRequested: false,
  host: undefined,
  identity: { instance: undefined, foundByName: undefined, doubt: undefined },
  interfaceNotes: [],
  hostPolicy: undefined,
  filesInForce: undefined,
  appliedAt: undefined,
  version: undefined,
  recorded: undefined,
  inForce: undefined,
  isTableKnown: false,
  isTableNew: false,
  isTracking: true,
  // Until it is written by this process: the one before may have ended amid a change.
  isBootScriptStale: true,
  isLastGoodMissing: false,
  kernelProblem: undefined,
  savingProblem: undefined,
  interference: undefined,
  recentRepairs: [],
  retryMilliseconds: FIRST_RETRY_MILLISECONDS,
  applied: 0,
  repairs: 0,
};

/**
 * What the daemon is about, in one word and with what that word is about. Several may hold at once; the first that does
 * is what a person has to know.
 */
export type Phase =
  | { readonly kind: 'cleared' }
  | { readonly kind: 'rejected'; readonly refusal: Refusal }
  | { readonly kind: 'failing'; readonly problem: Problem }
  | { readonly kind: 'starting' }
  | { readonly kind: 'overridden'; readonly override: PolicyOverride; readonly appliedAt: Date }
  | { readonly kind: 'enforced'; readonly appliedAt: Date };

/** The phase of a state. */
export function phaseOf({ isCleared, refusal, kernelProblem, appliedAt, override }: DaemonState): Phase {
  if (isCleared) return { kind: 'cleared' };
  if (refusal !== undefined) return { kind: 'rejected', refusal };
  if (kernelProblem !== undefined) return { kind: 'failing', problem: kernelProblem };
  if (appliedAt === undefined) return { kind: 'starting' };
  return override === undefined ? { kind: 'enforced', appliedAt } : { kind: 'overridden', override, appliedAt };
}

/** The texts of what is in force; undefined where they are unknown. */
export function textsInForce({
  hostPolicy,
  filesInForce,
}: Pick<DaemonState, 'hostPolicy' | 'filesInForce'>): PolicyTexts | undefined {
  return hostPolicy === undefined || filesInForce === undefined
    ? undefined
    : policyTexts(filesInForce, hostPolicy.instance);
}

const identities = new WeakMap<PolicyFiles, string>();

/** Identifies what files say. */
export function identityOf(files: PolicyFiles): string {
  const identity = identities.get(files) ?? identityOfTexts(policyTexts(files, ''));
  identities.set(files, identity);
  return identity;
}

/** Whether a refusal came after the files were found valid, so that it ends when something is applied. */
export function isOfApplying({ diagnostics }: Refusal): boolean {
  return diagnostics.every(({ code }) => code === 'kernel-refused' || code === 'host-not-in-policy');
}

/** Whether a trial is on. */
export function isTrying({ override }: Pick<DaemonState, 'override'>): boolean {
  return override?.policy.kind === 'tried';
}

/** Why a file does not count yet. */
export const WHY_WAITING: Readonly<Record<WaitReason, string>> = {
  open: 'its writer has not closed it',
  'unfinished-line': 'its last line has no end',
  empty: 'it is suddenly empty',
  written: 'it was written a moment ago',
};
