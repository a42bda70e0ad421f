import { interfaceNotes } from '#core/meaning/lint/interface-notes.ts';
import type { Before } from '#core/model/nft/in-force.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import { planChange } from '#core/plan-change.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { refuse } from './accept-policy.ts';
import type { ApplyAction, LogAction, VersionToRecord } from './action.ts';
import { asForeign } from './check-table.ts';
import { identifyHost } from './host-identity.ts';
import { type DaemonState, isOfApplying, isTrying } from './state.ts';
import type { Step } from './step.ts';

const WHAT_HAPPENED = {
  none: 'policy in force already',
  elements: 'members changed',
  labels: 'flows are judged anew',
  swap: 'policy in force',
} as const;

/** How a policy is applied. */
export interface ApplyOptions {
  /** All of our table is replaced, and the host is found by the name that it has now. */
  readonly isReplacement: boolean;
  readonly instance: string | undefined;
}

/**
 * Plans the way from what is in force to what should be. Returns whether an action was asked for whose outcome decides
 * how the cycle goes on.
 */
export function applyPolicy(step: Step, { isReplacement, instance }: ApplyOptions): boolean {
  const { override, host, isCleared } = step.state;
  const policy = override === undefined ? step.state.policy : override.loaded.policy;
  if (policy === undefined || host === undefined || isCleared) return false;
  const question = { policy, host, instance, isAnew: isReplacement, now: step.at.date };
  const { located, identity, warnings } = identifyHost(step.state.identity, question);
  for (const { message, fields } of warnings) step.log('warn', message, fields);
  step.update({ identity });
  if (located.kind === 'absent') {
    refuseAbsentHost(step, located);
    return false;
  }
  const { hostPolicy } = located;
  const rendered = planChange(hostPolicy, planFrom(step.state, isReplacement), hashContent);
  const isSaved = !step.state.isBootScriptStale || isTrying(step.state);
  const action: ApplyAction = {
    kind: 'apply',
    rendered,
    hostPolicy,
    persist: isTrying(step.state) ? 'nothing' : 'boot-script',
    canAppend: !step.state.isBootScriptStale,
    isFirst: step.state.inForce === undefined,
    interfaces: host.interfaces,
    began: step.at.milliseconds,
  };
  if (rendered.change.kind === 'none' && step.state.appliedAt !== undefined && isSaved)
    return finishApplying(step, action);
  step.act(action);
  return true;
}

/** Takes a change into the state that is in force, and has done what comes after one. Returns as `applyPolicy` does. */
export function finishApplying(step: Step, action: ApplyAction): boolean {
  const { hostPolicy, isFirst, interfaces } = action;
  const { host, hostPolicy: before, isTableNew } = step.state;
  const isChanged = action.rendered.change.kind !== 'none' || step.state.appliedAt === undefined;
  noteInForce(step, action, isChanged);
  if (host === undefined) return false;
  noteInterfaces(step, hostPolicy, host);
  const record = versionToRecord(step.state, hostPolicy);
  const { filesInForce: files, recorded, override } = step.state;
  const isKept = files !== undefined && override?.policy.kind !== 'tried';
  step.update({ version: isKept && recorded?.files === files ? recorded.version : undefined });
  const flows = isChanged ? { before, after: hostPolicy, host, files, isTableNew } : undefined;
  if (isChanged) step.update({ isTableNew: false });
  const seed = isFirst ? interfaces : undefined;
  if (seed === undefined && flows === undefined && record === undefined) return false;
  step.act({
    kind: 'follow-up',
    seed,
    flows,
    record,
    recordedVersion: recorded?.version,
    announcement: isChanged ? announcementOf(step, action) : undefined,
  });
  return true;
}

function noteInForce(step: Step, { rendered: { change }, hostPolicy }: ApplyAction, isChanged: boolean): void {
  const { override, files, refusal, appliedAt, applied } = step.state;
  step.update({
    inForce: change.next,
    hostPolicy,
    filesInForce: override?.loaded ?? files,
    kernelProblem: undefined,
    refusal: refusal !== undefined && isOfApplying(refusal) ? undefined : refusal,
    appliedAt: isChanged ? step.at.date : appliedAt,
    applied: applied + (change.kind === 'none' ? 0 : 1),
  });
  // A packet that was between two rules may have labelled its flow by the old ones.
  if (change.kind !== 'none') step.act({ kind: 'settle-later' });
}

function announcementOf(step: Step, { rendered: { change }, hostPolicy, began }: ApplyAction): LogAction {
  const { generation, rendered } = change.next;
  return {
    kind: 'log',
    level: 'info',
    message: WHAT_HAPPENED[change.kind],
    fields: {
      generation,
      change: change.kind,
      instance: hostPolicy.instance,
      rules: rendered?.rules,
      milliseconds: Math.round(step.at.milliseconds - began),
    },
  };
}

/** What came into force for good is kept in the history, once. */
function versionToRecord(
  { filesInForce, override, recorded }: DaemonState,
  { instance }: HostPolicy,
): VersionToRecord | undefined {
  const policy = override?.policy;
  if (filesInForce === undefined || policy?.kind === 'tried' || filesInForce === recorded?.files) return undefined;
  return { files: filesInForce, instance, origin: policy?.origin ?? 'file', of: policy?.of ?? null };
}

/** Logs what becomes noteworthy of the host's interfaces, each thing once for as long as it holds. */
function noteInterfaces(step: Step, hostPolicy: HostPolicy, host: HostState): void {
  const notes = interfaceNotes(hostPolicy, host);
  const logged = step.state.interfaceNotes;
  for (const { code, interface: name, message, help } of notes)
    if (!logged.includes(message)) step.log('warn', message, { code, interface: name, help });
  step.update({ interfaceNotes: notes.map(({ message }) => message) });
}

/** A host that the policy does not name may be in a file that is still to come: the files get time to settle first. */
function refuseAbsentHost(step: Step, { message, help }: { readonly message: string; readonly help: string }): void {
  const { refusal, fileNames, filesSettleAt, awaited } = step.state;
  // A mistake in newer files is the newer news.
  if (refusal !== undefined && !isOfApplying(refusal)) return;
  const milliseconds = Math.max(0, filesSettleAt - step.at.milliseconds);
  if (milliseconds > 0) {
    const recheckMilliseconds = Math.min(milliseconds, awaited.recheckMilliseconds ?? milliseconds);
    step.update({ awaited: { ...awaited, recheckMilliseconds, isSettling: true } });
    return;
  }
  const span = { file: fileNames[0] ?? '', line: 1, column: 1, endLine: 1, endColumn: 1 };
  refuse(step, [{ code: 'host-not-in-policy', severity: 'error', message, span, related: [], help }]);
}

function planFrom({ inForce, isTracking }: DaemonState, isReplacement: boolean): Before {
  if (inForce === undefined) return isTracking ? undefined : 'untracked';
  return isReplacement ? asForeign(inForce) : inForce;
}
