import type { Family } from '#core/model/net/address.ts';
import { formatInterval, type Interval, isWholeFamily } from '#core/model/net/interval.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { Direction, Remote, Rule } from '#core/model/policy/rule.ts';
import type { DeniedRemote, ExternalEndpoint, InterfaceGroup } from './endpoints.ts';

/** An interface group, and what evaluates its packets. */
export interface EvaluatedGroup {
  readonly group: InterfaceGroup;
  readonly policy: HostPolicy;
  readonly rules: Readonly<Record<Direction, readonly Rule[]>>;
  /** The addresses of all its interfaces; undefined if the policy does not say all of them. */
  readonly addresses: readonly Interval[] | undefined;
}

/** The interface groups of hosts: interfaces with the same groups under the same kind of evaluation. */
export function evaluatedGroups(policy: Policy, hosts: readonly HostPolicy[]): readonly EvaluatedGroup[] {
  const groups = new Map<
    string,
    EvaluatedGroup & { readonly group: { readonly interfaces: InterfaceGroup['interfaces'][number][] } }
  >();
  for (const host of hosts) {
    const instance = policy.instances.get(host.instance);
    for (const { pattern, groups: names, inbound, outbound } of host.bindings) {
      if (pattern === 'lo') continue;
      const key = `${instance?.evaluation ?? ''} ${names.join(' ')}`;
      const group = groups.get(key) ?? {
        group: { groups: names, interfaces: [] },
        policy: host,
        rules: {
          inbound: [...host.management.inbound, ...inbound],
          outbound: [...host.management.outbound, ...outbound],
        },
        addresses: [],
      };
      group.group.interfaces.push({ instance: host.instance, pattern });
      const addresses = instance?.interfaces.find((binding) => binding.pattern === pattern)?.addresses ?? 'dynamic';
      groups.set(key, {
        ...group,
        addresses:
          addresses === 'dynamic' || group.addresses === undefined
            ? undefined
            : [...group.addresses, ...addresses.map(({ family, value }) => ({ family, from: value, to: value }))],
      });
    }
  }
  return [...groups.values()];
}

/** The external endpoints that a group's rules name. */
export function externalEndpointsOf({ rules }: EvaluatedGroup, direction: Direction): readonly ExternalEndpoint[] {
  const found = new Map<string, ExternalEndpoint>();
  for (const { remote } of rules[direction]) {
    if (remote.kind === 'addressGroup') found.set(`group ${remote.name}`, { kind: 'addressGroup', name: remote.name });
    if (remote.kind === 'interval' && !isWholeFamily(remote.interval))
      found.set(formatInterval(remote.interval), { kind: 'interval', interval: remote.interval });
  }
  return [...found.values()];
}

/** The remotes that a group's rules which deny name. */
export function deniedRemotesOf({ rules }: EvaluatedGroup, direction: Direction): readonly DeniedRemote[] {
  const found = new Map<string, DeniedRemote>();
  for (const { remote, action } of rules[direction]) {
    if (action !== 'deny' || remote.kind === 'any') continue;
    if (remote.kind !== 'interval') found.set(`${remote.kind} ${remote.name}`, remote);
    else if (!isWholeFamily(remote.interval)) found.set(formatInterval(remote.interval), remote);
  }
  return [...found.values()];
}

/** Whether a remote stands for every address of a family. */
export function isEveryAddress(remote: Remote, family: Family, { addressGroups }: HostPolicy): boolean {
  switch (remote.kind) {
    case 'any':
      return true;
    case 'interval':
      return isWholeFamily(remote.interval);
    case 'addressGroup':
      return addressGroups.get(remote.name)?.[family].ranges.some(isWholeFamily) ?? false;
    case 'securityGroup':
      return false;
  }
}
