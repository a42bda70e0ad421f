import { UNKNOWN_HOST } from '#core/model/policy/host.ts';
import { ENDLESS, type Patience } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { resolveHost } from '#core/read/3-resolve/host-policy.ts';
import { type Reachability, reachability } from './reachability.ts';

/** Who can reach whom as a policy says for all its instances, whatever host this is. */
export function policyReachability(policy: Policy, patience: Patience = ENDLESS): Reachability {
  const hosts = [...policy.instances.keys()].toSorted().map((name) => resolveHost(policy, UNKNOWN_HOST, name));
  return reachability(policy, hosts, patience);
}
