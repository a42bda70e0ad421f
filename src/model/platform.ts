import type { Family } from './address.ts';
import type { Interval } from './interval.ts';
import type { PlatformTraffic } from './policy.ts';
import type { Direction } from './rule.ts';

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
        /** What the packet's hop limit must be, so that no router can have forwarded it. */
        readonly hopLimit: 255 | undefined;
        readonly code: 0 | 'any';
      }
    | { readonly kind: 'udp'; readonly sourcePort: number; readonly destinationPort: number };
  /** Undefined is any address. */
  readonly source: readonly Interval[] | undefined;
  readonly destination: readonly Interval[] | undefined;
}

const LINK_LOCAL: Interval = { family: 'ipv6', from: 0xfe80n << 112n, to: (0xfec0n << 112n) - 1n };
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
  // RFC 3810 section 5.1.14 and 5.2.13: from a link-local address, or :: before there is one; the hop limit is 1.
  const match = { kind: 'icmpv6', types: MULTICAST_LISTENER, hopLimit: undefined, code: 'any' } as const;
  return {
    name: 'neighborDiscovery',
    direction,
    family: 'ipv6',
    match,
    source: [UNSPECIFIED, LINK_LOCAL],
    destination: undefined,
  };
}

function dhcp(
  direction: Direction,
  ports: { readonly source: number; readonly destination: number },
  family: Family,
): PlatformFlow {
  return {
    name: 'dhcpClient',
    direction,
    family,
    match: { kind: 'udp', sourcePort: ports.source, destinationPort: ports.destination },
    // A DHCPv6 client speaks from its link-local address and is answered there (RFC 8415 section 18.2).
    source: family === 'ipv6' && direction === 'outbound' ? [LINK_LOCAL] : undefined,
    destination: family === 'ipv6' && direction === 'inbound' ? [LINK_LOCAL] : undefined,
  };
}

/** Everything a host needs to have a network at all; semantics section 5. Loopback is not here: it is never filtered. */
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
    source: [LINK_LOCAL],
    destination: undefined,
  },
  dhcp('outbound', { source: 68, destination: 67 }, 'ipv4'),
  dhcp('inbound', { source: 67, destination: 68 }, 'ipv4'),
  dhcp('outbound', { source: 546, destination: 547 }, 'ipv6'),
  dhcp('inbound', { source: 547, destination: 546 }, 'ipv6'),
];

/** The ICMP types whose packets conntrack takes for replies, with the type of the request each answers. Linux nf_conntrack_proto_icmp.c, invmap. */
export const ICMP_REQUEST_OF_REPLY: Readonly<Record<1 | 58, ReadonlyMap<number, number>>> = {
  1: new Map([
    [0, 8],
    [14, 13],
    [16, 15],
    [18, 17],
  ]),
  58: new Map([
    [129, 128],
    [140, 139],
  ]),
};
