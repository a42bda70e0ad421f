import type { Family } from '#core/model/net/address.ts';
import type { AddressEntries } from '#core/model/net/address-entries.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { objectName } from '#core/model/nft/object-name.ts';
import type { AddressSet, NftSet, PortSet } from '#core/model/nft/ruleset.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { PortRange, Remote } from '#core/model/policy/rule.ts';

/** A remote that names a group. */
export type GroupRemote = Extract<Remote, { readonly kind: 'securityGroup' | 'addressGroup' }>;

/** The sets that rules look into; each is made when it is first asked for, and shared. */
export interface SetRegistry {
  /** The sets that together contain a group: one of its members' addresses; for an address group one of hosts and one of ranges. */
  setsOf(remote: GroupRemote, family: Family): readonly string[];
  /** A set of several port ranges; a single range needs no set. */
  ports(ports: readonly PortRange[]): PortRange | { readonly set: string };
  /** All sets asked for so far, by name. */
  all(): readonly NftSet[];
}

const NO_ENTRIES: AddressEntries = { hosts: [], ranges: [] };

/** The addresses of a group in one family. */
export function entriesOf(policy: HostPolicy, remote: GroupRemote, family: Family): AddressEntries {
  const entries =
    remote.kind === 'securityGroup' ? policy.members.get(remote.name) : policy.addressGroups.get(remote.name);
  return entries?.[family] ?? NO_ENTRIES;
}

/** An empty registry for the groups of `policy`. */
export function createSetRegistry(policy: HostPolicy): SetRegistry {
  const sets = new Map<string, NftSet>();
  const portSets = new Map<string, PortSet>();
  const keep = (set: AddressSet): string => {
    if (!sets.has(set.name)) sets.set(set.name, set);
    return set.name;
  };
  return {
    setsOf(remote, family) {
      const { hosts, ranges } = entriesOf(policy, remote, family);
      if (remote.kind === 'securityGroup') {
        const comment = `members of security group ${remote.name}`;
        const name = objectName('group', remote.name, family);
        return [keep({ kind: 'addresses', name, family, interval: false, elements: hosts, comment })];
      }
      // INVARIANT: both sets exist whatever the group contains now, so that its entries change without a change of rules.
      // There are two because adding or deleting an element is slow in a big interval set, and never in a hash set.
      const half = (kind: 'hosts' | 'ranges', elements: readonly Interval[]): string =>
        keep({
          kind: 'addresses',
          name: objectName('list', remote.name, family, kind),
          family,
          interval: kind === 'ranges',
          elements,
          comment: `${kind} of address group ${remote.name}`,
        });
      return [half('hosts', hosts), half('ranges', ranges)];
    },
    ports(ports) {
      const [only] = ports;
      if (only !== undefined && ports.length === 1) return only;
      const key = ports.map(({ from, to }) => `${from}-${to}`).join(',');
      const set = portSets.get(key) ?? { kind: 'ports', name: objectName('ports', String(portSets.size + 1)), ports };
      portSets.set(key, set);
      return { set: set.name };
    },
    all: () => [...sets.values(), ...portSets.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}
