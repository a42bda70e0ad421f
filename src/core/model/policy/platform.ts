import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { PlatformTraffic } from './policy.ts';
import { ICMP, ICMPV6, type IcmpProtocol } from './protocols.ts';
import type { Direction } from './rule.ts';

/** What the policy switches of built-in traffic where it says nothing. */
export const PLATFORM_DEFAULTS: PlatformTraffic = {
  neighborDiscovery: true,
  routerAdvertisement: true,
  dhcpClient: true,
  igmp: true,
  ownAddress: true,
  helpers: false,
};

/** The switches, in the order in which people read them. */
export const PLATFORM_SWITCHES = Object.keys(PLATFORM_DEFAULTS) as readonly (keyof PlatformTraffic)[];

/** One kind of built-in traffic, in one direction. */
export interface PlatformFlow {
  /** The switch of the policy that turns it off; `platform:<name>` in what people read. */
  readonly name: keyof PlatformTraffic;
  readonly direction: Direction;
  readonly family: Family;
  readonly match:
    | {
        readonly kind: 'icmpv6';
        readonly types: readonly number[];
        /** What the packet's hop limit must be, so that no router can have forwarded it, or none would. */
        readonly hopLimit: 255 | 1;
        readonly code: 0 | 'any';
      }
    | { readonly kind: 'igmp'; readonly hopLimit: 1 }
    | { readonly kind: 'udp'; readonly sourcePort: number | 'any'; readonly destinationPort: number };
  /** Undefined is any address. */
  readonly source: readonly Interval[] | undefined;
  readonly destination: readonly Interval[] | undefined;
}

/** What people read of packets that come from outside with an address of this host: `platform:own-address`. */
export const OWN_ADDRESS = 'own-address';

const IPV6_LINK_LOCAL: Interval = { family: 'ipv6', from: 0xfe80n << 112n, to: (0xfec0n << 112n) - 1n };

/** Addresses that are unique on their link only (RFC 3927, RFC 4291 section 2.5.6). */
export const LINK_LOCAL: readonly Interval[] = [
  { family: 'ipv4', from: 0xa9fe_0000n, to: 0xa9fe_ffffn },
  IPV6_LINK_LOCAL,
];

/** Addresses that no packet on a wire has (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3). */
export const LOOPBACK: readonly Interval[] = [
  { family: 'ipv4', from: 0x7f00_0000n, to: 0x7fff_ffffn },
  { family: 'ipv6', from: 1n, to: 1n },
];

/** Addresses of many hosts; IPv4's with that of all hosts on a link, and all that is reserved before it. */
export const MULTICAST: Readonly<Record<Family, Interval>> = {
  ipv4: { family: 'ipv4', from: 0xe000_0000n, to: 0xffff_ffffn },
  ipv6: { family: 'ipv6', from: 0xffn << 120n, to: (1n << 128n) - 1n },
};

const IPV4_MULTICAST: Interval = { family: 'ipv4', from: 0xe000_0000n, to: 0xefff_ffffn };
const UNSPECIFIED: Interval = { family: 'ipv6', from: 0n, to: 0n };

const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOR_SOLICITATION = 135;
const NEIGHBOR_ADVERTISEMENT = 136;
const REDIRECT = 137;
/** Listener query, report and done (RFC 2710), version 2 report (RFC 3810). */
const MULTICAST_LISTENER = [130, 131, 132, 143];

function neighborDiscovery(direction: Direction, types: readonly number[]): PlatformFlow {
  // RFC 4861 sections 6.1, 7.1 and 8.1: the code is 0, and a hop limit other than 255 means that a router forwarded it.
  const match = { kind: 'icmpv6', types, hopLimit: 255, code: 0 } as const;
  return { name: 'neighborDiscovery', direction, family: 'ipv6', match, source: undefined, destination: undefined };
}

function multicastListener(direction: Direction): PlatformFlow {
  // RFC 3810 sections 5, 5.1.14 and 5.2.13: from a link-local address, or :: before there is one; the hop limit is 1.
  const match = { kind: 'icmpv6', types: MULTICAST_LISTENER, hopLimit: 1, code: 'any' } as const;
  return {
    name: 'neighborDiscovery',
    direction,
    family: 'ipv6',
    match,
    source: [UNSPECIFIED, IPV6_LINK_LOCAL],
    destination: undefined,
  };
}

/** RFC 3376 section 4: the TTL is 1, and both queries and reports go to multicast addresses. */
function igmp(direction: Direction): PlatformFlow {
  const match = { kind: 'igmp', hopLimit: 1 } as const;
  return { name: 'igmp', direction, family: 'ipv4', match, source: undefined, destination: [IPV4_MULTICAST] };
}

type Ports = Pick<Extract<PlatformFlow['match'], { readonly kind: 'udp' }>, 'sourcePort' | 'destinationPort'>;

function dhcp(
  direction: Direction,
  ports: Ports,
  { family = 'ipv4', source, destination }: Partial<Pick<PlatformFlow, 'family' | 'source' | 'destination'>> = {},
): PlatformFlow {
  return { name: 'dhcpClient', direction, family, match: { kind: 'udp', ...ports }, source, destination };
}

/** Everything a host needs to have a network at all; SEMANTICS.md section 5. Loopback is not here: it is never filtered. */
export const PLATFORM_FLOWS: readonly PlatformFlow[] = [
  neighborDiscovery('inbound', [NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT, REDIRECT]),
  neighborDiscovery('outbound', [ROUTER_SOLICITATION, NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT]),
  multicastListener('inbound'),
  multicastListener('outbound'),
  {
    name: 'routerAdvertisement',
    direction: 'inbound',
    family: 'ipv6',
    match: { kind: 'icmpv6', types: [ROUTER_ADVERTISEMENT], hopLimit: 255, code: 0 },
    source: [IPV6_LINK_LOCAL],
    destination: undefined,
  },
  igmp('inbound'),
  igmp('outbound'),
  dhcp('outbound', { sourcePort: 68, destinationPort: 67 }),
  dhcp('inbound', { sourcePort: 67, destinationPort: 68 }),
  // A DHCPv6 client speaks from its link-local address and is answered there (RFC 8415 section 18.2). Servers listen on
  // 547 (section 7.2); where they send from is nowhere said, and some answer from other ports.
  dhcp('outbound', { sourcePort: 546, destinationPort: 547 }, { family: 'ipv6', source: [IPV6_LINK_LOCAL] }),
  dhcp('inbound', { sourcePort: 'any', destinationPort: 546 }, { family: 'ipv6', destination: [IPV6_LINK_LOCAL] }),
  dhcp('inbound', { sourcePort: 'any', destinationPort: 546 }, { family: 'ipv6', source: [IPV6_LINK_LOCAL] }),
];

/**
 * The ICMP types that report an error about a packet of a flow: unreachable, too big, time exceeded, parameter problem.
 * Conntrack calls redirects and source quench related too, by which a stranger would change the host's routes or rate.
 */
export const ICMP_ERRORS: Readonly<Record<IcmpProtocol, readonly number[]>> = {
  [ICMP]: [3, 11, 12],
  [ICMPV6]: [1, 2, 3, 4],
};

/** The ICMP types whose packets conntrack takes for replies, with the type of the request each answers. Linux nf_conntrack_proto_icmp.c, invmap. */
export const ICMP_REQUEST_OF_REPLY: Readonly<Record<IcmpProtocol, ReadonlyMap<number, number>>> = {
  [ICMP]: new Map([
    [0, 8],
    [14, 13],
    [16, 15],
    [18, 17],
  ]),
  [ICMPV6]: new Map([
    [129, 128],
    [140, 139],
  ]),
};

/** The ICMP type that asks whether a host is there. */
export const ECHO_REQUEST: Readonly<Record<IcmpProtocol, number>> = { [ICMP]: 8, [ICMPV6]: 128 };
