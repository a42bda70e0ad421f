import type { Address } from '#core/model/net/address.ts';
import type { EntriesByFamily } from '#core/model/net/address-entries.ts';
import type { AddressGroupName, GroupName, InstanceName, InterfacePattern } from './names.ts';
import type { Accounts, InvalidPackets, PlatformTraffic, UnmanagedInterfaces } from './policy.ts';
import type { Rule } from './rule.ts';

/** A network interface the host has now. */
export interface HostInterface {
  readonly index: number;
  readonly name: string;
  readonly addresses: readonly Address[];
  /** Other names that it answers to, as `ip link property add` gives them; none where they are left out. */
  readonly altnames?: readonly string[];
  /** What kind of device it is by its driver: `vrf`, `bridge`, `bond`, `vlan`; undefined for hardware and the like. */
  readonly kind?: string | undefined;
  /** The index of the device that it is enslaved to: a VRF, a bridge, a bond. */
  readonly master?: number | undefined;
  /** The index of the device of this host that it is made on, as a VLAN or a macvlan is. */
  readonly lower?: number | undefined;
  /** Names that it was seen to have before, by who watches. */
  readonly formerNames?: readonly string[];
}

/** What the daemon knows of the host it runs on. */
export interface HostState {
  readonly hostname: string;
  /** The content of /etc/machine-id; empty where there is none. */
  readonly machineId: string;
  /** Loopback included; in order of index. */
  readonly interfaces: readonly HostInterface[];
  /** Whether the kernel can label flows, so that one is judged once; it is taken for able where nobody has asked. */
  readonly flowLabels?: boolean | undefined;
  /** Whether rules can ask the kernel's routes whose an address is; it is taken for able where nobody has asked. */
  readonly routeLookups?: boolean | undefined;
}

/** Of no host but the one it runs on does anybody know what its interfaces hold: members are those that the policy lists. */
export const NO_HOST: HostState = { hostname: '', machineId: '', interfaces: [] };

/** Rules of both directions, each list in deciding order: the first that matches decides. */
export interface OrderedRules {
  readonly inbound: readonly Rule[];
  readonly outbound: readonly Rule[];
}

/** Why an interface is judged by what the policy says of another name. */
export interface BindingOrigin {
  /** The name, or a glob, that the policy has. */
  readonly pattern: InterfacePattern;
  /** `altname`: it is another name of the interface. `vrf`: the interface is in the VRF that it names. */
  readonly as: 'altname' | 'vrf';
}

/** What one interface, or one glob of them, of this host is judged by. */
export interface Binding extends OrderedRules {
  readonly pattern: InterfacePattern;
  /** Where the policy does not name the interface itself: how it comes to be judged. */
  readonly by?: BindingOrigin | undefined;
  readonly groups: readonly GroupName[];
  readonly invalid: InvalidPackets;
}

/** A policy as one host sees it: the whole input of the compiler and of the evaluator. */
export interface HostPolicy {
  readonly instance: InstanceName;
  readonly unmanagedInterfaces: UnmanagedInterfaces;
  readonly platform: PlatformTraffic;
  readonly accounts: Accounts;
  readonly management: OrderedRules;
  /** Most specific first: exact names, then globs by falling length. The first whose pattern matches a name is its binding. */
  readonly bindings: readonly Binding[];
  /** The addresses of each group's members, as far as this host can know them; hosts alone, no ranges. */
  readonly members: ReadonlyMap<GroupName, EntriesByFamily>;
  /** As in {@link HostState}. */
  readonly flowLabels?: boolean | undefined;
  /** As in {@link HostState}. */
  readonly routeLookups?: boolean | undefined;
  /** What the host's interfaces hold now. Of another host nobody knows it, whatever addresses the policy lists. */
  readonly held: readonly HostInterface[];
  readonly addressGroups: ReadonlyMap<AddressGroupName, EntriesByFamily>;
}

/** Whether `pattern` names the interface `name`. */
export function patternMatches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
