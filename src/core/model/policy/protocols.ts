import type { Family } from '#core/model/net/address.ts';

// Numbers that code about one protocol alone names: DHCP, ssh, neighbour discovery. What differs between protocols is in
// the table below.
export const ICMP = 1;
export const IGMP = 2;
export const TCP = 6;
export const UDP = 17;
export const GRE = 47;
export const ESP = 50;
export const ICMPV6 = 58;

interface NamedProtocol {
  readonly number: number;
  /** The word of a policy. Rows of one word are of different families. */
  readonly name: string;
  /** nft's word, as in `tcp dport` and `icmpv6 type`; people read it of packets. */
  readonly nft: string;
  /** What prose calls it. */
  readonly title: string;
}

/** A protocol that policies call by name, and what its packets are told apart by, their addresses aside. */
export type ProtocolRow =
  | (NamedProtocol & {
      readonly selector: 'ports';
      /**
       * How its flows are revoked: those of `connections` have a socket that listens and packets that open them, those of
       * `datagrams` neither. Of `none` the rules still judge every packet, but no flow is remembered as revoked.
       */
      readonly revocation: 'connections' | 'datagrams' | 'none';
    })
  /** Types and codes; in the other family the number is one like any other. */
  | (NamedProtocol & { readonly selector: 'icmp'; readonly family: Family })
  | (NamedProtocol & { readonly selector: 'none' });

/** Everything that tells protocols apart asks this table, by `protocol-lookup.ts`. In the order in which people read them. */
export const PROTOCOLS = [
  { number: TCP, name: 'tcp', nft: 'tcp', title: 'TCP', selector: 'ports', revocation: 'connections' },
  { number: UDP, name: 'udp', nft: 'udp', title: 'UDP', selector: 'ports', revocation: 'datagrams' },
  { number: ICMP, name: 'icmp', nft: 'icmp', title: 'ICMP', selector: 'icmp', family: 'ipv4' },
  { number: ICMPV6, name: 'icmp', nft: 'icmpv6', title: 'ICMPv6', selector: 'icmp', family: 'ipv6' },
  { number: GRE, name: 'gre', nft: 'gre', title: 'GRE', selector: 'none' },
] as const satisfies readonly ProtocolRow[];

type Row = (typeof PROTOCOLS)[number];

/** Protocols whose packets rules tell apart by port. */
export type PortProtocol = Extract<Row, { readonly selector: 'ports' }>['number'];

/** Protocols whose packets rules tell apart by ICMP type and code. */
export type IcmpProtocol = Extract<Row, { readonly selector: 'icmp' }>['number'];

type FlowRow = Extract<Row, { readonly revocation: 'connections' | 'datagrams' }>;

/** Protocols whose flows are remembered once they are revoked. */
export type FlowProtocol = FlowRow['number'];

/** Their names. */
export type FlowProtocolName = FlowRow['name'];

/** A protocol that policies write by number. */
interface NumberedProtocol {
  readonly number: number;
  /** As /etc/protocols and other tools call it. */
  readonly names: readonly string[];
  /** What prose calls it; undefined where its number says more. */
  readonly title: string | undefined;
  /** Whether it has ports, which rules do not judge. */
  readonly hasPorts: boolean;
}

const numbered = (number: number, names: readonly string[], title?: string): NumberedProtocol => ({
  number,
  names,
  title,
  hasPorts: false,
});
const withPorts = (number: number, names: readonly string[], title: string): NumberedProtocol => ({
  number,
  names,
  title,
  hasPorts: true,
});

/** Protocols that people know by names which are none in a policy. Where one gets a row above, that row counts. */
export const NUMBERED_PROTOCOLS: readonly NumberedProtocol[] = [
  numbered(IGMP, ['igmp'], 'IGMP'),
  numbered(4, ['ipencap', 'ipip']),
  withPorts(33, ['dccp'], 'DCCP'),
  numbered(41, ['ipv6']),
  numbered(46, ['rsvp'], 'RSVP'),
  numbered(ESP, ['esp'], 'IPsec ESP'),
  numbered(51, ['ah'], 'IPsec AH'),
  numbered(ICMPV6, ['ipv6-icmp'], 'ICMPv6'),
  numbered(88, ['eigrp'], 'EIGRP'),
  numbered(89, ['ospf'], 'OSPF'),
  numbered(103, ['pim'], 'PIM'),
  numbered(112, ['vrrp', 'carp'], 'VRRP'),
  numbered(115, ['l2tp'], 'L2TP'),
  withPorts(132, ['sctp'], 'SCTP'),
  withPorts(136, ['udplite'], 'UDP-Lite'),
];
