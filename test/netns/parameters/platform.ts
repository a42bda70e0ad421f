import type { ParameterRow } from './row.ts';

/** Multicast addresses: all nodes, all routers, MLDv2 routers, DHCPv6 servers, and the peer's solicited-node one. */
const NODES = 'ff02::1';
const ROUTERS = 'ff02::2';
const MLD_ROUTERS = 'ff02::16';
const DHCP_SERVERS = 'ff02::1:2';
const SOLICITED_OUT = 'ff02::1:ff00:2';
const SOLICITED_IN = 'ff02::1:ff00:1';

/** Neighbour discovery: solicitations and advertisements both ways, solicitations from :: for duplicate addresses. */
const DISCOVERY = [
  `inbound icmpv6 135 with fe80::2 at ${SOLICITED_IN} hop 255`,
  'inbound icmpv6 135 with 2001:db8:9::9 hop 255',
  `inbound icmpv6 135 with :: at ${SOLICITED_IN} hop 255`,
  'inbound icmpv6 136 with fe80::2 at fe80::1 hop 255',
  `inbound icmpv6 136 with fe80::2 at ${NODES} hop 255`,
  'inbound icmpv6 137 with fe80::2 hop 255',
  `outbound icmpv6 135 with ${SOLICITED_OUT} at fe80::1 hop 255`,
  `outbound icmpv6 135 with ${SOLICITED_OUT} at :: hop 255`,
  'outbound icmpv6 136 with fe80::2 at fe80::1 hop 255',
  'outbound icmpv6 136 with fe80::2 hop 255',
  `outbound icmpv6 133 with ${ROUTERS} at fe80::1 hop 255`,
];

/** The same, but forwarded by a router, of another code, or what only a router may say or hear. */
const NOT_DISCOVERY = [
  ...DISCOVERY.map((packet) => packet.replace('hop 255', 'hop 254')),
  ...DISCOVERY.map((packet) => packet.replace(/icmpv6 (\d+)/, 'icmpv6 $1/1')),
  'inbound icmpv6 133 with fe80::2 at fe80::1 hop 255',
  'outbound icmpv6 137 with fe80::2 at fe80::1 hop 255',
  'inbound icmpv6 138 with fe80::2 at fe80::1 hop 255',
  'inbound icmpv6 128 with fe80::2 at fe80::1 hop 255',
];

/** Multicast listener discovery, a message at a time: each has the one identity that its first bytes spell. */
const LISTENERS = [
  `inbound mld 130 with fe80::2 at ${NODES}`,
  `inbound icmpv6 131 with fe80::2 at ${NODES} hop 1`,
  `inbound icmpv6 132 with fe80::2 at ${NODES} hop 1`,
  `inbound icmpv6 143 with :: at ${NODES} hop 1`,
  `outbound mld 143 with ${MLD_ROUTERS} at fe80::1`,
  `outbound icmpv6 143 with ${MLD_ROUTERS} at :: hop 1`,
  `outbound icmpv6 131 with ${NODES} at fe80::1 hop 1`,
  `outbound icmpv6 132 with ${ROUTERS} at fe80::1 hop 1`,
];

const NOT_LISTENERS = [
  `inbound icmpv6 131 with fe80::2 at ${NODES} hop 2`,
  `outbound icmpv6 132 with ${ROUTERS} at fe80::1 hop 64`,
  `inbound icmpv6 130 with 2001:db8:9::9 at ${NODES} hop 1`,
  `outbound icmpv6 143 with ${MLD_ROUTERS} at fd77:0::1 hop 1`,
  `inbound icmpv6 129 with fe80::2 at ${NODES} hop 1`,
  `inbound icmpv6 142 with fe80::2 at ${NODES} hop 1`,
  `inbound icmpv6 144 with fe80::2 at ${NODES} hop 1`,
];

const ADVERTISEMENT = [`inbound icmpv6 134 with fe80::2 at ${NODES} hop 255`];

const NOT_ADVERTISEMENT = [
  `inbound icmpv6 134 with fe80::2 at ${NODES} hop 254`,
  `inbound icmpv6 134 with 2001:db8:9::9 at ${NODES} hop 255`,
  `inbound icmpv6 134/1 with fe80::2 at ${NODES} hop 255`,
  `outbound icmpv6 134 with ${NODES} at fe80::1 hop 255`,
];

/** DHCP as a client does it: broadcast and unicast, and over IPv6 with the servers' multicast address. */
const DHCP = [
  'outbound udp 68>67 with 255.255.255.255',
  'outbound udp 68>67 with 192.0.2.1',
  'inbound udp 67>68 with 192.0.2.1 at 255.255.255.255',
  'inbound udp 67>68 with 192.0.2.1',
  `outbound udp 546>547 with ${DHCP_SERVERS} at fe80::1`,
  'inbound udp 547>546 with fe80::2 at fe80::1',
  'inbound udp 547>546 with 2001:db8:9::9 at fe80::1',
  'inbound udp 49417>546 with fe80::2 at fe80::1',
  'inbound udp 49417>546 with 2001:db8:9::9 at fe80::1',
  'inbound udp 547>546 with fe80::2 at fd77:0::1',
  'inbound udp 1>546 with fe80::2 at fd77:0::1',
];

/** IGMP, a message at a time in each direction: queries, reports and leaves. */
const MEMBERSHIP = [
  'inbound protocol 2 with 192.0.2.1 at 224.0.0.1 hop 1',
  'inbound protocol 2 with 0.0.0.0 at 224.0.0.1 hop 1',
  'outbound protocol 2 with 224.0.0.22 hop 1',
  'outbound protocol 2 with 224.0.0.2 hop 1',
];

const NOT_MEMBERSHIP = [
  'inbound protocol 2 with 192.0.2.1 at 224.0.0.1 hop 2',
  'inbound protocol 2 with 192.0.2.1 hop 1',
  'inbound protocol 3 with 192.0.2.1 at 224.0.0.1 hop 1',
  'outbound protocol 2 with 224.0.0.22 hop 64',
  'outbound protocol 2 with 192.0.2.1 hop 1',
  'outbound protocol 3 with 224.0.0.22 hop 1',
];

const NOT_DHCP = [
  'outbound udp 67>68 with 192.0.2.1',
  'outbound udp 69>67 with 192.0.2.1',
  'outbound udp 68>66 with 192.0.2.1',
  'outbound tcp 68>67 with 192.0.2.1',
  'inbound udp 68>67 with 192.0.2.1',
  'inbound udp 67>69 with 192.0.2.1',
  'inbound udp 66>68 with 192.0.2.1',
  'inbound udp 67>68 with 2001:db8:9::9',
  `outbound udp 547>546 with ${DHCP_SERVERS} at fe80::1`,
  `outbound udp 546>547 with ${DHCP_SERVERS} at fd77:0::1`,
  `outbound udp 546>548 with ${DHCP_SERVERS} at fe80::1`,
  'inbound udp 547>546 with 2001:db8:9::9 at fd77:0::1',
  'inbound udp 49417>546 with 2001:db8:9::9 at fd77:0::1',
  'inbound tcp 547>546 with fe80::2 at fe80::1',
  'inbound udp 546>547 with fe80::2 at fe80::1',
  'inbound udp 547>545 with fe80::2 at fe80::1',
];

const SILENT = 'g: {}';
const ICMPV6_ONLY = `g:
    inbound: [{ protocol: icmp, type: ipv6, source: any }]
    outbound: [{ protocol: icmp, type: ipv6, destination: any }]`;
const DENY_ALL = `g:
    inbound: [{ source: any, action: deny }]
    outbound: [{ destination: any, action: deny }]`;

function onEth0(platform: string, group: string): string {
  return `version: 1
platform: { ${platform} }
securityGroups:
  ${group}
instances: { host: { interfaces: { eth0: { securityGroups: [g] } } } }
`;
}

/** Whether conntrack leaves it to the rules: a redirect that it cannot relate to a flow is invalid (nf_conntrack_proto_icmpv6.c). */
const isJudged = (packet: string): boolean => !packet.includes('icmpv6 137');

/** Each switch of the built-in traffic on and off, under groups that allow nothing. */
export const PLATFORM_ROWS: readonly ParameterRow[] = [
  {
    parameter: 'platform: neighbour discovery',
    policy: onEth0('', SILENT),
    through: DISCOVERY,
    not: NOT_DISCOVERY,
  },
  {
    parameter: 'platform: multicast listener discovery',
    policy: onEth0('', SILENT),
    through: LISTENERS,
    not: NOT_LISTENERS,
  },
  {
    parameter: 'platform: router advertisements',
    policy: onEth0('', SILENT),
    through: ADVERTISEMENT,
    not: NOT_ADVERTISEMENT,
  },
  { parameter: 'platform: DHCP clients', policy: onEth0('', SILENT), through: DHCP, not: NOT_DHCP },
  { parameter: 'platform: IGMP', policy: onEth0('', SILENT), through: MEMBERSHIP, not: NOT_MEMBERSHIP },
  {
    parameter: 'platform: igmp: false',
    policy: onEth0('igmp: false', SILENT),
    through: [...DISCOVERY, ...LISTENERS, ...ADVERTISEMENT, ...DHCP],
    not: MEMBERSHIP,
  },
  {
    parameter: 'platform: before denying rules',
    policy: onEth0('', DENY_ALL),
    through: [...DISCOVERY, ...ADVERTISEMENT, ...LISTENERS, ...DHCP, ...MEMBERSHIP],
    not: ['all', ...NOT_DISCOVERY, ...NOT_ADVERTISEMENT, ...NOT_LISTENERS, ...NOT_DHCP, ...NOT_MEMBERSHIP],
  },
  {
    parameter: 'platform: neighborDiscovery: false',
    policy: onEth0('neighborDiscovery: false', SILENT),
    through: [...ADVERTISEMENT, ...DHCP],
    not: [...DISCOVERY, ...LISTENERS],
  },
  {
    parameter: 'platform: routerAdvertisement: false',
    policy: onEth0('routerAdvertisement: false', SILENT),
    through: [...DISCOVERY, ...LISTENERS, ...DHCP],
    not: ADVERTISEMENT,
  },
  {
    parameter: 'platform: dhcpClient: false',
    policy: onEth0('dhcpClient: false', SILENT),
    through: [...DISCOVERY, ...LISTENERS, ...ADVERTISEMENT],
    not: DHCP,
  },
  {
    parameter: 'platform: what is switched off is left to the rules',
    policy: onEth0('neighborDiscovery: false, routerAdvertisement: false, dhcpClient: false, igmp: false', ICMPV6_ONLY),
    through: [
      ...ADVERTISEMENT,
      ...LISTENERS,
      ...DISCOVERY.filter(isJudged),
      ...NOT_DISCOVERY.filter((packet) => packet.includes('hop 254') && isJudged(packet)),
    ],
    not: [...DHCP, ...DISCOVERY.filter((packet) => !isJudged(packet))],
  },
];
