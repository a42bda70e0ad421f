import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import type { Direction, PortRange, RuleOrigin } from '#core/model/policy/rule.ts';
import type { IcmpProtocol, PortProtocol } from '#core/model/policy/protocols.ts';

/**
 * What the kernel is to hold, in nftables' terms: one table's sets and chains under the names people would give them.
 * The names that the kernel sees carry a generation too, which rendering adds.
 */
export interface Ruleset {
  readonly sets: readonly NftSet[];
  /** Base chains last; every other chain stands before those that jump to it. */
  readonly chains: readonly NftChain[];
  /** How many packets are told of at the most. */
  readonly limits: readonly LogLimit[];
  /** Sets that rules add to, see {@link recentEnds}. */
  readonly recent: readonly RecentEnds[];
  /** Who judges flows: each has a label, and chains that test and set it, which rules lead to and rendering fills. */
  readonly chainSets: readonly string[];
}

/** A limit that rules share. */
export interface LogLimit {
  readonly name: string;
  readonly packetsPerMinute: number;
  /** Packets at once. */
  readonly burst: number;
}

/** A set of addresses that rules add to and the kernel takes out again. */
export interface RecentEnds {
  readonly name: string;
  readonly family: Family;
}

/** A named set or verdict map. Its elements are disjoint and ascending. */
export type NftSet = AddressSet | PortSet | AddressMap | PortMap;

/** A set of addresses; `interval` sets hold ranges, others (hash sets, cheap to change at any size) single addresses only. */
export interface AddressSet {
  readonly kind: 'addresses';
  readonly name: string;
  readonly family: Family;
  readonly interval: boolean;
  readonly elements: readonly Interval[];
  /** What it holds, for people. */
  readonly comment: string;
}

/** A set of ports. */
export interface PortSet {
  readonly kind: 'ports';
  readonly name: string;
  readonly ports: readonly PortRange[];
}

/** What to do with packets by an address; addresses that are in none of its intervals go on to the next rule. */
export interface AddressMap {
  readonly kind: 'addressMap';
  readonly name: string;
  readonly family: Family;
  /** As in an {@link AddressSet}. */
  readonly interval: boolean;
  /** Its elements follow the members of groups: they change by element. Others change with the rules. */
  readonly dynamic: boolean;
  readonly elements: readonly MapElement<Interval>[];
}

/** What to do with packets by a port; with `interval` the elements are ranges, else single ports in a hash. */
export interface PortMap {
  readonly kind: 'portMap';
  readonly name: string;
  readonly interval: boolean;
  readonly elements: readonly MapElement<PortRange>[];
}

/** An element of a map. */
export interface MapElement<Key> {
  readonly key: Key;
  readonly verdict: SimpleVerdict;
  /** The first rule of the policy that it comes from. */
  readonly origin: RuleOrigin | undefined;
}

/** A chain; with `hook`, the base chain that the kernel enters there. */
export interface NftChain {
  readonly name: string;
  readonly hook: 'input' | 'output' | undefined;
  readonly rules: readonly NftRule[];
}

/** One rule: its verdict applies to packets that all of `matches` match. */
export interface NftRule {
  readonly matches: readonly Match[];
  readonly counted: boolean;
  readonly verdict: NftVerdict;
  /** What is built in: `platform:<name>`, `state:<what>`, `default`; empty for rules of the policy. */
  readonly comment: string;
  /** The rule of the policy that it comes from, if it comes from one. */
  readonly origin: RuleOrigin | undefined;
}

/** Which end of a packet a match looks at. */
export type PacketEnd = 'source' | 'destination';

/** Which interface of a packet: the one it came in or goes out by, or the member of a VRF that it came in by. */
export type InterfaceOf = Direction | 'member';

/** One test of a packet. */
export type Match =
  | { readonly kind: 'interface'; readonly of: InterfaceOf; readonly pattern: InterfacePattern }
  /** It goes out by a VRF, and once more by the member of it that takes it. */
  | { readonly kind: 'toVrf' }
  | { readonly kind: 'family'; readonly family: Family }
  | { readonly kind: 'protocol'; readonly protocol: number }
  | {
      readonly kind: 'port';
      readonly end: PacketEnd;
      readonly protocol: PortProtocol;
      readonly port: PortRange | { readonly set: string };
    }
  | {
      readonly kind: 'icmp';
      readonly protocol: IcmpProtocol;
      readonly types: readonly number[];
      readonly code: number | 'any';
    }
  | {
      readonly kind: 'address';
      readonly end: PacketEnd;
      readonly family: Family;
      readonly address: Interval | { readonly set: string };
    }
  /** IPv6's hop limit, IPv4's time to live. */
  | { readonly kind: 'hopLimit'; readonly family: Family; readonly value: number }
  /** No ICMP message about another flow: such a message has that flow's labels. */
  | { readonly kind: 'notRelated' }
  | { readonly kind: 'state'; readonly state: 'new' | 'established' | 'related' | 'invalid' | 'establishedOrRelated' }
  /** A TCP segment that conntrack knows no flow of and that opens none: it is in the middle of one. */
  | { readonly kind: 'midstream' }
  /** Its flow is one that was revoked; of TCP and UDP, as the host sends it. */
  | { readonly kind: 'revoked'; readonly family: Family }
  | { readonly kind: 'flowDirection'; readonly direction: 'original' | 'reply' }
  /** It was sent to this host by another: no copy of what the host itself sends to many. */
  | { readonly kind: 'fromAnother' }
  /** Whether the packet's source is an address of this host, or of the interface that it came in by. */
  | { readonly kind: 'sourceType'; readonly of: 'host' | 'interface'; readonly isLocal: boolean }
  /** It was not sent to this host alone, by its link's address. */
  | { readonly kind: 'toMany' }
  /** Its destination is an IPv4 multicast or broadcast address. */
  | { readonly kind: 'manyIpv4' }
  /** It came in by a member of a VRF. */
  | { readonly kind: 'inVrf' }
  /** Another table has changed where it goes. */
  | { readonly kind: 'translated' }
  /** A packet of a flow that was announced by another that a conntrack helper reads, as FTP data connections are; no error about it. */
  | { readonly kind: 'expected' };

/** What a rule or an element of a map does. */
export type SimpleVerdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  /** Back to the chain that jumped here. */
  | { readonly kind: 'return' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'goto'; readonly chain: string };

/** What a rule does. */
export type NftVerdict =
  | SimpleVerdict
  /** Tells who listens of the packet, unless too many were told of, and notes its end in `recent`; then the next rule. */
  | {
      readonly kind: 'log';
      readonly limit: string;
      readonly prefix: string;
      readonly end: PacketEnd;
      readonly family: Family;
      readonly recent: string;
      /** Whether it tells only of packets whose end is not in `recent`. */
      readonly firstOnly: boolean;
    }
  /** One lookup of an address or a port in a map; what is not in it goes on to the next rule. */
  | { readonly kind: 'addressMap'; readonly end: PacketEnd; readonly family: Family; readonly map: string }
  | { readonly kind: 'portMap'; readonly end: PacketEnd; readonly protocol: PortProtocol; readonly map: string }
  /** One lookup of the protocol number; others go on to the next rule. */
  | {
      readonly kind: 'protocolMap';
      readonly entries: readonly { readonly protocol: number; readonly verdict: SimpleVerdict }[];
    }
  /** One lookup of the interface's name; a name that is not among the entries goes on to the next rule. */
  | {
      readonly kind: 'interfaceMap';
      readonly of: InterfaceOf;
      readonly entries: readonly { readonly name: string; readonly chain: string }[];
    };
