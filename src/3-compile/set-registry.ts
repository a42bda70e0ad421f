import type { Family } from '../model/address.ts';
import type { HostPolicy } from '../model/host.ts';
import type { AddressGroupName, GroupName } from '../model/names.ts';
import type { PortRange } from '../model/rule.ts';
import type { AddressSet, NftSet, PortSet } from '../model/ruleset.ts';

/** The sets that the rules being compiled look into; each is made when it is first asked for, and shared. */
export interface SetRegistry {
  /** The set of the addresses of a security group's members. */
  members(group: GroupName, family: Family): string;
  /** The sets that together hold an address group: single addresses, and ranges. */
  addressGroup(group: AddressGroupName, family: Family): readonly string[];
  /** A set for several ranges; one range needs none. */
  ports(ports: readonly PortRange[]): PortRange | { readonly set: string };
  /** All sets asked for so far, by name. */
  all(): readonly NftSet[];
}

/** An empty registry of the sets that `policy` can need. */
export function createSetRegistry(policy: HostPolicy): SetRegistry {
  const sets = new Map<string, NftSet>();
  const portSets = new Map<string, PortSet>();
  const keep = (set: AddressSet): string => {
    if (!sets.has(set.name)) sets.set(set.name, set);
    return set.name;
  };
  return {
    members(group, family) {
      return keep({
        kind: 'addresses',
        name: `group.${group}.${family}`,
        family,
        interval: false,
        elements: policy.members.get(group)?.[family].hosts ?? [],
        comment: `members of security group ${group}`,
      });
    },
    addressGroup(group, family) {
      const entries = policy.addressGroups.get(group)?.[family];
      // INVARIANT: both sets exist whatever the group holds now, so that its entries change without a change of rules.
      // They are two because an element in or out of a big interval set is dear, and of a hash set never.
      const half = (kind: 'hosts' | 'ranges'): string =>
        keep({
          kind: 'addresses',
          name: `list.${group}.${family}.${kind}`,
          family,
          interval: kind === 'ranges',
          elements: entries?.[kind] ?? [],
          comment: `${kind} of address group ${group}`,
        });
      return [half('hosts'), half('ranges')];
    },
    ports(ports) {
      const [only] = ports;
      if (only !== undefined && ports.length === 1) return only;
      const key = ports.map(({ from, to }) => `${from}-${to}`).join(',');
      const set = portSets.get(key) ?? { kind: 'ports', name: `ports.${portSets.size + 1}`, ports };
      portSets.set(key, set);
      return { set: set.name };
    },
    all: () => [...sets.values(), ...portSets.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}
