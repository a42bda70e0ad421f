import { resolveHost } from './2-analyze/host-policy.ts';
import { reachability, type Reachability } from './evaluate/reachability.ts';
import { NO_HOST } from './model/host.ts';
import { ENDLESS, type Patience } from './model/patience.ts';
import type { Policy } from './model/policy.ts';

/** Who can reach whom as a policy says for all its instances, whatever host this is. */
export function policyReachability(policy: Policy, patience: Patience = ENDLESS): Reachability {
  const hosts = [...policy.instances.keys()].toSorted().map((name) => resolveHost(policy, NO_HOST, name));
  return reachability(policy, hosts, patience);
}
