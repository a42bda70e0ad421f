import type { PinnedPolicy, TriedPolicy } from '#core/model/policy/held-policy.ts';
import { identityOfTexts } from '#host/files/policy-texts.ts';
import { type DaemonState, identityOf, isTrying } from './state.ts';

/** Why no trial can begin; undefined where one can. */
export function objectionToTrial(state: DaemonState): string | undefined {
  if (isTrying(state)) return 'another policy is on trial: sgctl confirm keeps it, sgctl rollback ends it';
  const { hostPolicy, filesInForce, files, kernelProblem } = state;
  if (hostPolicy === undefined || filesInForce === undefined || files === undefined)
    return 'nothing is in force that could be gone back to: put a valid policy into the policy file first';
  if (kernelProblem !== undefined) return `going back could fail as well: ${kernelProblem.message}`;
  return undefined;
}

/** Why a trial cannot be confirmed; undefined where it can. */
export function objectionToConfirming({ files }: DaemonState, tried: TriedPolicy): string | undefined {
  if (files === undefined) return undefined;
  const identity = identityOf(files);
  return identity === tried.files || identity === identityOfTexts(tried.texts)
    ? undefined
    : 'the policy file was changed while another policy was tried, and would overrule it: put the two together in the policy file; what is tried goes back when its time is up';
}

/** What was in force before a trial, pinned. */
export function pinOf({ before, files }: TriedPolicy): PinnedPolicy {
  return { kind: 'pinned', texts: before, files, origin: 'rollback', of: null };
}

/** Whether the policy files decide instead of a pinned policy: they say something new, or the same. */
export function isOverruledByFiles({ files }: DaemonState, pinned: PinnedPolicy): boolean {
  const identity = files === undefined ? undefined : identityOf(files);
  return identity !== undefined && (identity !== pinned.files || identity === identityOfTexts(pinned.texts));
}
