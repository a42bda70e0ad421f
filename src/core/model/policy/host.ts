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
  /** Alternative names, as `ip link property add` gives them; none if left out. */
  readonly altnames?: readonly string[];
  /** The kind of device, by its driver: `vrf`, `bridge`, `bond`, `vlan`; undefined for hardware and the like. */
  readonly kind?: string | undefined;
  /** The index of the device it is enslaved to: a VRF, a bridge, a bond. */
  readonly master?: number | undefined;
  /** The index of the device of this host below it, if it is a VLAN, a macvlan or the like. */
  readonly lower?: number | undefined;
  /** Names it had before, as far as a watcher has seen them. */
  readonly formerNames?: readonly string[];
}

/** The state of the host that the daemon runs on. */
export interface HostState {
  readonly hostname: string;
  /** The content of /etc/machine-id; empty where there is none. */
  readonly machineId: string;
  /** Loopback included; in order of index. */
  readonly interfaces: readonly HostInterface[];
  /** Whether the kernel can label flows, so that each is evaluated once; undefined is taken for yes. */
  readonly flowLabels?: boolean | undefined;
  /** Whether rules can look addresses up in the kernel's routes; undefined is taken for yes. */
  readonly routeLookups?: boolean | undefined;
}

/** A host of which only the policy is known, as every host but the one this runs on: members are those the policy lists. */
export const UNKNOWN_HOST: HostState = { hostname: '', machineId: '', interfaces: [] };

/** Rules of both directions, each list in deciding order: the first that matches decides. */
export interface OrderedRules {
  readonly inbound: readonly Rule[];
  readonly outbound: readonly Rule[];
}

/** Why an interface has the rules that the policy gives to another name. */
export interface BindingOrigin {
  /** The name, or a glob, that the policy has. */
  readonly pattern: InterfacePattern;
  /** `altname`: the pattern names the interface by an alternative name. `vrf`: it names the VRF that the interface is in. */
  readonly as: 'altname' | 'vrf';
}

/** The rules of one interface of this host, or of one glob of them. */
export interface Binding extends OrderedRules {
  readonly pattern: InterfacePattern;
  /** Where the policy does not name the interface itself: how it comes to have these rules. */
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
  /** The host's interfaces with the addresses they hold now; empty for another host, whatever the policy lists. */
  readonly held: readonly HostInterface[];
  readonly addressGroups: ReadonlyMap<AddressGroupName, EntriesByFamily>;
}

/** The binding that the interface `name` is judged by: the first whose pattern matches it. */
export function bindingOf<Bound extends Pick<Binding, 'pattern'>>(
  { bindings }: { readonly bindings: readonly Bound[] },
  name: string,
): Bound | undefined {
  return bindings.find(({ pattern }) => patternMatches(pattern, name));
}

/** Whether `pattern` names the interface `name`. */
export function patternMatches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
