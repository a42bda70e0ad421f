import { createPolicyLoader } from './load-policy.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { JudgedVersion } from '#core/model/policy/policy-version.ts';
import { locateHost } from './plan-change.ts';

/** What is in force now, and where. */
export interface InForceHere {
  /** Identifies what its files say. */
  readonly identity: string;
  readonly host: HostState;
  /** Lets other work of the process go on. */
  readonly pause?: () => Promise<void>;
}

/**
 * The policies by which flows may live on that an earlier process did not get to judge: those of `since`, which begins
 * with the one that it judged by last, without what is in force now. A policy that cannot be read is left out. Throws
 * what reading throws.
 */
export async function policiesBefore(
  since: readonly JudgedVersion[],
  { identity, host, pause }: InForceHere,
): Promise<readonly HostPolicy[]> {
  const policies = new Map<string, HostPolicy>();
  for (const kept of since) {
    if (kept.identity === identity || policies.has(kept.identity)) continue;
    const reader = await kept.open();
    if (reader === undefined) continue;
    const { policy } = await createPolicyLoader(reader, pause)();
    const located = policy === undefined ? undefined : locateHost(policy, host, kept.instance);
    if (located !== undefined && located.kind !== 'absent') policies.set(kept.identity, located.hostPolicy);
  }
  return [...policies.values()];
}
