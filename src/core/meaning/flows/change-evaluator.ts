import type { FlowKey } from '#core/model/packet/flow-key.ts';
import { type HostInterface, type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import type { Action } from '#core/model/policy/rule.ts';
import { createFlowEvaluator } from './flow-evaluator.ts';

/** Evaluates what a change of the inbound rules means for flows. */
export interface ChangeEvaluator {
  readonly now: (key: FlowKey) => Action;
  readonly before: readonly ((key: FlowKey) => Action)[];
  /** Whether some interface allowed a flow and denies it now; packets may come by another interface than the one with the flow's address. */
  isTakenAwayAnywhere(key: FlowKey): boolean;
  /** Whether a revoked flow is allowed again. */
  isLetInAgain(key: FlowKey): boolean;
}

/** Evaluates the change from the policies `before`, as far as they are known, to `now`. */
export function createChangeEvaluator(
  { now: policy, before: policies }: { readonly now: HostPolicy; readonly before: readonly HostPolicy[] },
  interfaces: readonly HostInterface[],
): ChangeEvaluator {
  const now = createFlowEvaluator(policy, interfaces);
  const before = policies.map((earlier) => createFlowEvaluator(earlier, interfaces));
  const names = distinctNames([policy, ...policies], interfaces);
  const isTakenAwayAnywhere = (key: FlowKey): boolean =>
    names.some((name) => before.some((judge) => judge.by(key, name) === 'allow') && now.by(key, name) === 'deny');
  return {
    now,
    before,
    isTakenAwayAnywhere,
    // Which interface's rules revoked a flow is not recorded: it stays revoked while any denies it, unless its own allow it again.
    isLetInAgain: (key) =>
      now(key) === 'allow' &&
      !isTakenAwayAnywhere(key) &&
      (names.every((name) => now.by(key, name) === 'allow') || before.some((judge) => judge(key) === 'deny')),
  };
}

/** One interface of each class that all policies judge alike: containers can have a thousand. */
function distinctNames(policies: readonly HostPolicy[], interfaces: readonly HostInterface[]): readonly string[] {
  const byBindings = new Map<string, string>();
  for (const { name } of interfaces) {
    if (name === 'lo') continue;
    const places = policies.map(({ bindings }) => bindings.findIndex(({ pattern }) => patternMatches(pattern, name)));
    byBindings.set(places.join(), name);
  }
  return [...byBindings.values()];
}
