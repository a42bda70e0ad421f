import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { identityOfTexts, policyTexts } from '#host/files/policy-texts.ts';
import type { WaitingFile, WaitReason } from '#host/files/settling.ts';
import type { HeldPolicy } from '#core/model/policy/held-policy.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';

/** A policy file that is not in force, and why. */
export interface Refusal {
  readonly since: Date;
  readonly diagnostics: readonly Diagnostic[];
  /** The files' texts as they were, to show the places. */
  readonly sources: ReadonlyMap<string, string>;
}

/** Trouble that is not the policy's: nft missing, the kernel refusing, a disk that is full. */
export interface Trouble {
  readonly since: Date;
  readonly message: string;
}

/** The texts of a policy's files. */
export type PolicyFiles = Pick<LoadedPolicy, 'documents' | 'sources'>;

/** A policy in force in place of what the files say, read. */
export interface Held {
  readonly policy: HeldPolicy;
  readonly loaded: LoadedPolicy;
  readonly since: Date;
}

/** What says what is in force; undefined where nobody knows. */
export function textsInForce({ hostPolicy, filesInForce }: Enforcement): PolicyTexts | undefined {
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

/** Everything the daemon knows of what it enforces. */
export interface Enforcement {
  /** The newest policy without errors, and the files that say it. */
  readonly policy: Policy | undefined;
  readonly files: PolicyFiles | undefined;
  /** What is to be in force in place of them. */
  readonly held: Held | undefined;
  readonly warnings: readonly Diagnostic[];
  /** Files that do not count yet, because they are being written; what they said before does, if they said anything. */
  readonly waiting: readonly WaitingFile[];
  /** The newest state of the policy's files, where that is not what is in force. */
  readonly refusal: Refusal | undefined;
  readonly host: HostState | undefined;
  /** What is in force, as this host sees it. */
  readonly hostPolicy: HostPolicy | undefined;
  /** The files that say what is in force; undefined where that was found in the kernel or kept from an earlier run. */
  readonly filesInForce: PolicyFiles | undefined;
  readonly inForce: InForce | undefined;
  /** The number of what is in force in the history; undefined where it is not kept there. */
  readonly version: number | undefined;
  readonly appliedAt: Date | undefined;
  /** Why the kernel could not be changed. */
  readonly kernelTrouble: Trouble | undefined;
  /** Why what is in force could not be kept for the next boot. */
  readonly savingTrouble: Trouble | undefined;
  /** Why the instance that this host is may not be the one that is meant. */
  readonly hostDoubt: Trouble | undefined;
  /** Somebody undoes what we do. */
  readonly fight: Trouble | undefined;
  /** The rules were removed on request, and stay away until the policy changes. */
  readonly cleared: boolean;
  /** Changes brought into force, and changes by others that were undone, since the daemon started. */
  readonly applied: number;
  readonly mended: number;
}

/** What is known before anything was read. */
export const NOTHING_KNOWN: Enforcement = {
  policy: undefined,
  files: undefined,
  held: undefined,
  warnings: [],
  waiting: [],
  refusal: undefined,
  host: undefined,
  hostPolicy: undefined,
  filesInForce: undefined,
  inForce: undefined,
  version: undefined,
  appliedAt: undefined,
  kernelTrouble: undefined,
  savingTrouble: undefined,
  hostDoubt: undefined,
  fight: undefined,
  cleared: false,
  applied: 0,
  mended: 0,
};

/** Whether a refusal came after the files were found good, so that it ends when something is applied. */
export function isOfApplying({ diagnostics }: Refusal): boolean {
  return diagnostics.every(({ code }) => code === 'kernel-refused' || code === 'host-not-in-policy');
}

/** Why a file does not count yet. */
export const WHY_WAITING: Readonly<Record<WaitReason, string>> = {
  open: 'its writer has not closed it',
  'unfinished-line': 'its last line has no end',
  empty: 'it is suddenly empty',
  written: 'it was written a moment ago',
};
