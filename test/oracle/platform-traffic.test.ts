import { describe, expect, it } from 'vitest';
import type { Packet } from '#core/model/packet/packet.ts';
import type { PlainPolicy } from './plain-policy.ts';
import { answer, between, type Content, hostWith, icmpv6, policyOf, tcp, udp } from './scene.ts';

const LINK = 'fe80::7';
const GLOBAL = '2001:db8::7';
const ALL_NODES = 'ff02::1';

const EVERYTHING_DENIED = policyOf({
  inbound: [{ source: 'any', action: 'deny' }],
  outbound: [{ destination: 'any', action: 'deny' }],
});

function into(source: string, destination: string, content: Content): Packet {
  return between(source, destination, content);
}

function out(source: string, destination: string, content: Content): Packet {
  return { ...between(source, destination, content), direction: 'outbound' };
}

describe('what comes in with an address of the host itself, or for loopback (section 4)', () => {
  const ALL_ALLOWED = policyOf({ inbound: [{ source: 'any' }], outbound: [{ destination: 'any' }] });
  // On lo, on eth0 itself and on eth1; for loopback, whose addresses no packet on a wire has.
  const FORGED = [
    into('192.0.2.10', '192.0.2.10', tcp(22)),
    into('192.0.2.99', '192.0.2.10', udp(53)),
    into('192.0.2.11', '192.0.2.10', tcp(22)),
    into('2001:db8::10', '2001:db8::10', tcp(22)),
    into('127.0.0.1', '192.0.2.10', tcp(22)),
    into('127.255.255.255', '192.0.2.10', tcp(22)),
    into('::1', '2001:db8::10', tcp(22)),
    into('203.0.113.9', '127.0.0.1', tcp(22)),
    into('2001:db8::9', '::1', tcp(22)),
  ];
  const HONEST = [
    into('192.0.2.9', '192.0.2.10', tcp(22)),
    into('128.0.0.0', '192.0.2.10', tcp(22)),
    into('::2', '2001:db8::10', tcp(22)),
    into('203.0.113.9', '126.255.255.255', tcp(22)),
    // Copies of what the host sends to many.
    into('192.0.2.10', '224.0.0.251', udp(5353)),
    into('2001:db8::10', 'ff02::fb', udp(5353)),
    into('192.0.2.10', '255.255.255.255', udp(9)),
    ...FORGED.map((packet): Packet => ({ ...packet, direction: 'outbound' })),
  ];
  const judged = (packets: readonly Packet[], policy: PlainPolicy): string[] =>
    packets.map((packet) => answer(policy, packet).replace(/ g .*/, ''));

  it('is dropped whatever the rules say, and nothing else is', () => {
    expect(judged(FORGED, ALL_ALLOWED)).toEqual(FORGED.map(() => 'deny platform'));
    expect(judged(HONEST, ALL_ALLOWED)).toEqual(HONEST.map(() => 'allow rule'));
    const management = [{ source: 'any' }] as const;
    expect(judged(FORGED, policyOf({}, { platform: { management } }))).toEqual(FORGED.map(() => 'deny platform'));
    expect(judged(FORGED, { ...ALL_ALLOWED, platform: { ownAddress: false } })).toEqual(FORGED.map(() => 'allow rule'));
  });

  it.each(['established', 'invalid'] as const)('is dropped as %s', (state) => {
    const packets = FORGED.map((packet) => ({ ...packet, state }));
    expect(judged(packets, ALL_ALLOWED)).toEqual(packets.map(() => 'deny platform'));
  });

  it('passes on loopback, as an answer to a flow that the host opened, and where nothing is filtered', () => {
    expect(
      judged(
        FORGED.map((packet) => ({ ...packet, interface: 'lo' })),
        ALL_ALLOWED,
      ),
    ).toEqual(FORGED.map(() => 'allow platform'));
    expect(
      judged(
        FORGED.map((packet) => ({ ...packet, state: 'reply' })),
        ALL_ALLOWED,
      ),
    ).toEqual(FORGED.map(() => 'allow state'));
    const elsewhere = FORGED.map((packet) => ({ ...packet, interface: 'eth9' }));
    expect(judged(elsewhere, ALL_ALLOWED)).toEqual(FORGED.map(() => 'allow default'));
    expect(judged(elsewhere, { ...ALL_ALLOWED, unmanagedInterfaces: 'deny' })).toEqual(
      FORGED.map(() => 'deny platform'),
    );
  });

  it('leaves neighbour discovery alone, by which a duplicate of an address is found', () => {
    const duplicate = into('2001:db8::10', ALL_NODES, icmpv6(136, 0, 255));
    expect(judged([duplicate, into('2001:db8::10', '2001:db8::10', icmpv6(135, 0, 255))], policyOf({}))).toEqual([
      'allow platform',
      'allow platform',
    ]);
  });
});

type Switch = 'neighborDiscovery' | 'routerAdvertisement' | 'dhcpClient' | 'igmp';

function igmp(hopLimit?: number): Content {
  return { protocol: 2, hopLimit };
}

const EITHER_WAY = [into, out];

/** What each switch lets pass, each with what it does not. */
const TABLE: readonly (readonly [string, Switch, readonly Packet[], readonly Packet[]])[] = [
  [
    'neighbour solicitation and advertisement, both ways',
    'neighborDiscovery',
    EITHER_WAY.flatMap((way) =>
      [135, 136].flatMap((type) => [
        way(LINK, ALL_NODES, icmpv6(type, 0, 255)),
        way(GLOBAL, GLOBAL, icmpv6(type)),
        way('::', 'ff02::1:ff00:7', icmpv6(type, 0, 255)),
      ]),
    ),
    EITHER_WAY.flatMap((way) => [
      way(LINK, ALL_NODES, icmpv6(135, 0, 254)),
      way(LINK, ALL_NODES, icmpv6(136, 1, 255)),
      way(LINK, ALL_NODES, icmpv6(128, 0, 255)),
      way(LINK, ALL_NODES, icmpv6(138, 0, 255)),
      way(LINK, ALL_NODES, { protocol: 1, icmpType: 135, icmpCode: 0, hopLimit: 255 }),
      way('192.0.2.1', '192.0.2.2', icmpv6(135)),
    ]),
  ],
  [
    'router solicitation, out only',
    'neighborDiscovery',
    [out(LINK, 'ff02::2', icmpv6(133)), out('::', 'ff02::2', icmpv6(133, 0, 255))],
    [into(LINK, 'ff02::2', icmpv6(133)), out(LINK, 'ff02::2', icmpv6(133, 0, 1)), out(LINK, 'ff02::2', icmpv6(133, 1))],
  ],
  [
    'redirect, in only',
    'neighborDiscovery',
    [into(LINK, GLOBAL, icmpv6(137, 0, 255))],
    [
      out(LINK, GLOBAL, icmpv6(137, 0, 255)),
      into(LINK, GLOBAL, icmpv6(137, 0, 64)),
      into(LINK, GLOBAL, icmpv6(137, 1)),
    ],
  ],
  [
    'multicast listener discovery, both ways',
    'neighborDiscovery',
    EITHER_WAY.flatMap((way) =>
      [130, 131, 132, 143].flatMap((type) => [
        way('fe80::', 'ff02::16', icmpv6(type, 0, 1)),
        way('febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'ff02::16', icmpv6(type)),
        way('::', 'ff02::16', icmpv6(type, 0, 1)),
      ]),
    ),
    EITHER_WAY.flatMap((way) => [
      ...[130, 131, 132, 143].map((type) => way(GLOBAL, 'ff02::16', icmpv6(type, 0, 1))),
      ...[130, 131, 132, 143].flatMap((type) => [0, 2, 255].map((hop) => way(LINK, 'ff02::16', icmpv6(type, 0, hop)))),
      way('fec0::', 'ff02::16', icmpv6(143, 0, 1)),
      way('fe7f:ffff::', 'ff02::16', icmpv6(143, 0, 1)),
      way('::1', 'ff02::16', icmpv6(143, 0, 1)),
      way(LINK, 'ff02::16', icmpv6(129, 0, 1)),
      way(LINK, 'ff02::16', icmpv6(142, 0, 1)),
      way(LINK, 'ff02::16', icmpv6(144, 0, 1)),
    ]),
  ],
  [
    'router advertisement, in only',
    'routerAdvertisement',
    [into(LINK, ALL_NODES, icmpv6(134, 0, 255)), into(LINK, ALL_NODES, icmpv6(134))],
    [
      out(LINK, ALL_NODES, icmpv6(134, 0, 255)),
      into(GLOBAL, ALL_NODES, icmpv6(134, 0, 255)),
      into('::', ALL_NODES, icmpv6(134, 0, 255)),
      into(LINK, ALL_NODES, icmpv6(134, 0, 254)),
      into(LINK, ALL_NODES, icmpv6(134, 1, 255)),
    ],
  ],
  [
    'IGMP, both ways',
    'igmp',
    EITHER_WAY.flatMap((way) => [
      way('192.0.2.1', '224.0.0.1', igmp(1)),
      way('0.0.0.0', '224.0.0.22', igmp(1)),
      way('192.0.2.1', '239.255.255.255', igmp()),
    ]),
    EITHER_WAY.flatMap((way) => [
      way('192.0.2.1', '224.0.0.1', igmp(2)),
      way('192.0.2.1', '224.0.0.1', igmp(64)),
      way('192.0.2.1', '192.0.2.10', igmp(1)),
      way('192.0.2.1', '223.255.255.255', igmp(1)),
      way('192.0.2.1', '240.0.0.0', igmp(1)),
      way('192.0.2.1', '224.0.0.1', { protocol: 3, hopLimit: 1 }),
      way(LINK, ALL_NODES, igmp(1)),
    ]),
  ],
  [
    'DHCP as a client',
    'dhcpClient',
    [
      out('0.0.0.0', '255.255.255.255', udp(67, 68)),
      out('192.0.2.10', '192.0.2.1', udp(67, 68)),
      into('192.0.2.1', '255.255.255.255', udp(68, 67)),
      into('192.0.2.1', '192.0.2.10', udp(68, 67)),
    ],
    [
      into('192.0.2.1', '192.0.2.10', udp(67, 68)),
      out('192.0.2.10', '192.0.2.1', udp(68, 67)),
      out('192.0.2.10', '192.0.2.1', udp(67, 40000)),
      out('192.0.2.10', '192.0.2.1', tcp(67, 68)),
      into('192.0.2.1', '192.0.2.10', udp(69, 67)),
      into(LINK, 'fe80::10', udp(68, 67)),
      out(LINK, 'fe80::10', udp(67, 68)),
    ],
  ],
  [
    'DHCPv6 as a client',
    'dhcpClient',
    [
      out(LINK, 'ff02::1:2', udp(547, 546)),
      into(GLOBAL, LINK, udp(546, 547)),
      into(LINK, 'fe80::10', udp(546, 547)),
      into(LINK, GLOBAL, udp(546, 547)),
      into(LINK, 'fe80::10', udp(546, 49_417)),
      into(GLOBAL, 'fe80::10', udp(546, 1)),
      into(LINK, GLOBAL, udp(546, 65_535)),
    ],
    [
      out(GLOBAL, 'ff02::1:2', udp(547, 546)),
      out('::', 'ff02::1:2', udp(547, 546)),
      into(GLOBAL, GLOBAL, udp(546, 547)),
      into(GLOBAL, GLOBAL, udp(546, 49_417)),
      into('fec0::1', 'fe7f::1', udp(546, 547)),
      into(LINK, 'fe80::10', udp(547, 546)),
      into(LINK, 'fe80::10', udp(545, 547)),
      into(LINK, 'fe80::10', tcp(546, 547)),
      out(LINK, 'ff02::1:2', udp(547, 49_417)),
      out(LINK, 'ff02::1:2', udp(546, 547)),
      out('192.0.2.10', '192.0.2.1', udp(547, 546)),
      into('192.0.2.1', '192.0.2.10', udp(546, 547)),
    ],
  ],
];

describe.each(TABLE)('%s (section 5)', (_, name, allowed, denied) => {
  const judged = (packets: readonly Packet[], policy: PlainPolicy): string[] =>
    packets.map((packet) => answer(policy, packet).replace(/ g .*/, ''));

  it('comes before the groups', () => {
    expect(judged(allowed, EVERYTHING_DENIED)).toEqual(allowed.map(() => 'allow platform'));
  });

  it('comes before management', () => {
    const management = [
      { source: 'any', action: 'deny' },
      { destination: 'any', action: 'deny' },
    ] as const;
    expect(judged(allowed, policyOf({}, { platform: { management } }))).toEqual(allowed.map(() => 'allow platform'));
  });

  it('passes whatever its state', () => {
    const states = ['established', 'reply', 'related', 'invalid'] as const;
    const packets = states.flatMap((state) => allowed.map((packet) => ({ ...packet, state })));
    expect(judged(packets, EVERYTHING_DENIED)).toEqual(packets.map(() => 'allow platform'));
  });

  it('passes where nothing is attached', () => {
    const policy: PlainPolicy = {
      version: 1,
      unmanagedInterfaces: 'deny',
      instances: hostWith({ eth0: { securityGroups: [] } }),
    };
    const packets = ['eth0', 'eth9'].flatMap((each) => allowed.map((packet) => ({ ...packet, interface: each })));
    expect(judged(packets, policy)).toEqual(packets.map(() => 'allow platform'));
  });

  it('is nothing else', () => {
    expect(judged(denied, EVERYTHING_DENIED)).toEqual(denied.map(() => 'deny rule'));
  });

  it('can be switched off, alone', () => {
    const off = { ...EVERYTHING_DENIED, platform: { [name]: false } };
    expect(judged(allowed, off)).toEqual(allowed.map(() => 'deny rule'));
    const others = {
      neighborDiscovery: false,
      routerAdvertisement: false,
      dhcpClient: false,
      igmp: false,
      [name]: true,
    };
    expect(judged(allowed, { ...EVERYTHING_DENIED, platform: others })).toEqual(allowed.map(() => 'allow platform'));
  });
});
