import type { FlowKey } from '#core/model/packet/flow-key.ts';
import { type HostInterface, type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import type { Action } from '#core/model/policy/rule.ts';
import { createFlowEvaluator } from './flow-evaluator.ts';

/** What a change of the inbound rules means for flows. */
export interface ChangeEvaluator {
  readonly now: (key: FlowKey) => Action;
  readonly before: readonly ((key: FlowKey) => Action)[];
  /** Whether a flow was let in by some interface whose rules deny it now; its packets can come by another than holds its address. */
  isTakenAwayAnywhere(key: FlowKey): boolean;
  /** Whether a flow that was revoked is let in again. */
  isLetInAgain(key: FlowKey): boolean;
}

/** A judge of the change from the policies `before`, as far as they are known, to `now`. */
export function createChangeEvaluator(
  { now: policy, before: policies }: { readonly now: HostPolicy; readonly before: readonly HostPolicy[] },
  interfaces: readonly HostInterface[],
): ChangeEvaluator {
  const now = createFlowEvaluator(policy, interfaces);
  const before = policies.map((one) => createFlowEvaluator(one, interfaces));
  const ways = unlikeNames([policy, ...policies], interfaces);
  const isTakenAwayAnywhere = (key: FlowKey): boolean =>
    ways.some((name) => before.some((judge) => judge.by(key, name) === 'allow') && now.by(key, name) === 'deny');
  return {
    now,
    before,
    isTakenAwayAnywhere,
    // Which interface's rules revoked it is not remembered: it stays so while any denies it, until its own let it in again.
    isLetInAgain: (key) =>
      now(key) === 'allow' &&
      !isTakenAwayAnywhere(key) &&
      (ways.every((name) => now.by(key, name) === 'allow') || before.some((judge) => judge(key) === 'deny')),
  };
}

/** One interface of those that all the policies judge alike: there can be a thousand of containers. */
function unlikeNames(policies: readonly HostPolicy[], interfaces: readonly HostInterface[]): readonly string[] {
  const unlike = new Map<string, string>();
  for (const { name } of interfaces) {
    if (name === 'lo') continue;
    const places = policies.map(({ bindings }) => bindings.findIndex(({ pattern }) => patternMatches(pattern, name)));
    unlike.set(places.join(), name);
  }
  return [...unlike.values()];
}
