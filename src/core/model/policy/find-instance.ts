import type { HostState } from './host.ts';
import type { InstanceName } from './names.ts';
import type { Instance, Policy } from './policy.ts';

/** The instance that a host is, and instances with similar names. */
export interface HostMatch {
  /** Undefined if the policy has none for the host. */
  readonly instance: InstanceName | undefined;
  /** Instances that share the host's first label, if none has its name; sorted. */
  readonly alike: readonly InstanceName[];
}

/** Names of hosts without a name of their own: they do not identify a host. */
const NO_NAMES: ReadonlySet<string> = new Set(['', '(none)', 'localhost']);

/**
 * Finds the instance that a host is: by machine id, then by host name, then `*`. An instance without `hostname` or
 * `machineId` is the host called like it. A host name is looked for as it stands, then its first label (`web-1` is
 * `web-1.example.com`'s), and a name without a dot as the first label of the only full name that has it.
 */
export function matchHost(
  policy: Policy,
  { hostname, machineId }: Pick<HostState, 'hostname' | 'machineId'>,
): HostMatch {
  const instances = [...policy.instances.values()];
  const byMachineId = instances.find((one) => one.machineId !== undefined && one.machineId === machineId);
  if (byMachineId !== undefined) return { instance: byMachineId.name, alike: [] };
  const named = instances.filter(({ name }) => name !== '*');
  const full = hostname.toLowerCase();
  const label = labelOf(full);
  for (const wanted of [full, label]) {
    const byName = named.find((one) => hostnameOf(one) === wanted);
    if (byName !== undefined) return { instance: byName.name, alike: [] };
  }
  const alike = NO_NAMES.has(label) ? [] : named.filter((one) => labelOf(hostnameOf(one) ?? '') === label);
  const [only] = alike;
  if (only !== undefined && alike.length === 1 && full === label) return { instance: only.name, alike: [] };
  const fallback = instances.find(({ name }) => name === '*')?.name;
  return { instance: fallback, alike: alike.map(({ name }) => name).toSorted() };
}

/** The instance that a host is; undefined where the policy has none. See {@link matchHost}. */
export function findInstance(
  policy: Policy,
  host: Pick<HostState, 'hostname' | 'machineId'>,
): InstanceName | undefined {
  return matchHost(policy, host).instance;
}

/** The host name that an instance is matched by; undefined for one that only a machine id matches. */
export function hostnameOf({ name, hostname, machineId }: Instance): string | undefined {
  return hostname ?? (machineId === undefined ? name.toLowerCase() : undefined);
}

function labelOf(hostname: string): string {
  return hostname.split('.', 1)[0] ?? hostname;
}
