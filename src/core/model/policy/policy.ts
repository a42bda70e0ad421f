import type { Address } from '#core/model/net/address.ts';
import type { EntriesByFamily } from '#core/model/net/address-entries.ts';
import type { AddressGroupName, GroupName, InstanceName, InterfacePattern } from './names.ts';
import type { Action, Remote, Rule, RuleOrigin } from './rule.ts';
import type { Span } from './span.ts';

/** Whether the position of a group on an interface orders rules before their priority does (`sequence`), or not at all (`merged`). */
export type Evaluation = 'sequence' | 'merged';

/** What happens on interfaces that the policy does not name. */
export type UnmanagedInterfaces = 'allow' | 'deny';

/** What happens to packets that conntrack calls invalid: dropped, or judged by the rules like new ones. */
export type InvalidPackets = 'drop' | 'match';

/** The built-in traffic that is judged before the groups; each can be switched off. */
export interface PlatformTraffic {
  readonly neighborDiscovery: boolean;
  readonly routerAdvertisement: boolean;
  readonly dhcpClient: boolean;
  readonly igmp: boolean;
  /** Whether packets are dropped that come from outside with an address of this host, or for loopback. */
  readonly ownAddress: boolean;
  /** Whether flows pass that conntrack helpers announce. */
  readonly helpers: boolean;
}

/** What is counted and logged. */
export interface Accounts {
  /** Whether rules have hit counters; `few`: where an interface has at most some hundred rules. */
  readonly counters: boolean | 'few';
  /** Whether denied packets are logged if their rule does not say. */
  readonly logDenied: boolean;
  /** At most this many denied packets a second are logged, and as many allowed ones. */
  readonly logRate: number;
}

/** A named list of addresses. */
export interface AddressGroup {
  readonly name: AddressGroupName;
  readonly entries: EntriesByFamily;
  /** Where it names a list file, if it does. */
  readonly listFile?: Span | undefined;
  readonly span: Span;
}

/** A named group of rules; rules stand as written, not in deciding order. */
export interface SecurityGroup {
  readonly name: GroupName;
  readonly inbound: readonly Rule[];
  readonly outbound: readonly Rule[];
  readonly span: Span;
}

/** One interface, or one glob of interfaces, of an instance. */
export interface InterfaceBinding {
  readonly pattern: InterfacePattern;
  /** What group references see; `dynamic` is what the interface holds. */
  readonly addresses: readonly Address[] | 'dynamic';
  /** The attached groups; the position is the sequence number. */
  readonly groups: readonly GroupName[];
  readonly invalid: InvalidPackets;
  readonly span: Span;
}

/** A host as the policy knows it. */
export interface Instance {
  readonly name: InstanceName;
  readonly hostname: string | undefined;
  readonly machineId: string | undefined;
  readonly evaluation: Evaluation;
  readonly interfaces: readonly InterfaceBinding[];
  readonly span: Span;
}

/** What must be true of the rules; proved whenever the policy is read. */
export interface Assertion {
  /** Whether all of the traffic is allowed, or none of it. */
  readonly expected: Action;
  /** The traffic and its remote, one rule a family; the rules decide on nothing. */
  readonly traffic: readonly Rule[];
  /** Of the remote, what the assertion says nothing of. */
  readonly except: readonly Remote[];
  /** Undefined is every instance. */
  readonly instance: InstanceName | undefined;
  readonly because: string | undefined;
  readonly span: Span;
}

/** What of the advisor's findings is meant to be so. */
export interface Acceptance {
  /** A code of the advisor. */
  readonly code: string;
  readonly because: string;
  /** About what findings are accepted; a group's are those of its rules too. */
  readonly scope:
    | { readonly kind: 'policy' }
    | { readonly kind: 'rule'; readonly origin: RuleOrigin }
    | { readonly kind: 'securityGroup'; readonly name: GroupName }
    | { readonly kind: 'addressGroup'; readonly name: AddressGroupName };
  readonly span: Span;
}

/** A whole policy: every name in it resolves, every template is expanded. */
export interface Policy {
  readonly unmanagedInterfaces: UnmanagedInterfaces;
  readonly platform: PlatformTraffic;
  readonly accounts: Accounts;
  /** Judged before all groups, in deciding order among themselves; both directions. */
  readonly management: readonly Rule[];
  readonly addressGroups: ReadonlyMap<AddressGroupName, AddressGroup>;
  readonly securityGroups: ReadonlyMap<GroupName, SecurityGroup>;
  readonly instances: ReadonlyMap<InstanceName, Instance>;
  readonly assertions: readonly Assertion[];
  readonly acceptances: readonly Acceptance[];
}
