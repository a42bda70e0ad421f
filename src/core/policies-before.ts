import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { JudgedVersion } from '#core/model/policy/policy-version.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { createPolicyLoader } from './load-policy.ts';

/** The policy in force, and the host that it is for. */
export interface InForceHere {
  /** Identifies the text of the policy's files. */
  readonly identity: string;
  readonly host: HostState;
  /** Is awaited between steps that can take long. */
  readonly pause?: () => Promise<void>;
}

/**
 * The earlier policies by which live flows may have been let in, if an earlier process ended before it evaluated them:
 * those of `since`, which begins with the last one that flows were evaluated by, without the policy in force. Leaves
 * out a policy that cannot be read. Throws what reading throws.
 */
export async function policiesBefore(
  since: readonly JudgedVersion[],
  { identity, host, pause }: InForceHere,
): Promise<readonly HostPolicy[]> {
  const policies = new Map<string, HostPolicy>();
  for (const version of since) {
    if (version.identity === identity || policies.has(version.identity)) continue;
    const reader = await version.open();
    if (reader === undefined) continue;
    const { policy } = await createPolicyLoader(reader, pause)();
    const located = policy === undefined ? undefined : locateHost(policy, host, version.instance);
    if (located?.kind === 'found') policies.set(version.identity, located.hostPolicy);
  }
  return [...policies.values()];
}
