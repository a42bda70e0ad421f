import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import type { IcmpProtocol, PortProtocol } from '#core/model/policy/protocols.ts';
import type { Direction, PortRange, RuleOrigin } from '#core/model/policy/rule.ts';

/**
 * The wanted content of the kernel, in nftables' terms: one table's sets and chains under names for people. Rendering adds
 * the generation to the names that the kernel sees.
 */
export interface Ruleset {
  readonly sets: readonly NftSet[];
  /** Base chains last; every other chain stands before those that jump to it. */
  readonly chains: readonly NftChain[];
  /** The limits of logging. */
  readonly limits: readonly LogLimit[];
  /** Sets that rules add to, see {@link recentEnds}. */
  readonly recent: readonly RecentEnds[];
  /** Each chain set has a label, and chains that test and set it; rules lead to those chains, and rendering fills them. */
  readonly chainSets: readonly string[];
}

/** A limit that rules share. */
export interface LogLimit {
  readonly name: string;
  readonly packetsPerMinute: number;
  /** Packets at once. */
  readonly burst: number;
}

/** A set of addresses that rules add to and the kernel expires. */
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

/** Verdicts by address; addresses in none of its intervals continue with the next rule. */
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

/** Verdicts by port; with `interval` the elements are ranges, else single ports in a hash. */
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

/** Which interface of a packet: the one it arrives or leaves by, or the member of a VRF that it arrives by. */
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
  /** Logs the packet, unless the limit is reached, and adds its end to `recent`; then continues with the next rule. */
  | {
      readonly kind: 'log';
      readonly limit: string;
      readonly prefix: string;
      readonly end: PacketEnd;
      readonly family: Family;
      readonly recent: string;
      /** Whether only packets whose end is not in `recent` are logged. */
      readonly firstOnly: boolean;
    }
  /** One lookup of an address or a port in a map; without a match, the next rule follows. */
  | { readonly kind: 'addressMap'; readonly end: PacketEnd; readonly family: Family; readonly map: string }
  | { readonly kind: 'portMap'; readonly end: PacketEnd; readonly protocol: PortProtocol; readonly map: string }
  /** One lookup of the protocol number; without a match, the next rule follows. */
  | {
      readonly kind: 'protocolMap';
      readonly entries: readonly { readonly protocol: number; readonly verdict: SimpleVerdict }[];
    }
  /** One lookup of the interface's name; without a match, the next rule follows. */
  | {
      readonly kind: 'interfaceMap';
      readonly of: InterfaceOf;
      readonly entries: readonly { readonly name: string; readonly chain: string }[];
    };
