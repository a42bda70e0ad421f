import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PacketDescription } from './harness/packet.ts';
import { observeInbound, sendInbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';
import { endOf, type Firewall, firewallOf } from './scenario.ts';

let world: World;
let firewall: Firewall;

const EVERYTHING = { inbound: [{ source: 'any' }], outbound: [{ destination: 'any' }] };
const UDP = 17;

/** Addresses of the host beside those of eth0: on another interface, one of it link-local, and on loopback. */
const OTHER = { ipv4: '192.0.2.50', ipv6: '2001:db8:50::1', linkLocal: 'fe80::50', loopback: '2001:db8:50::2' };

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }, { name: 'eth1' }] });
  firewall = firewallOf(world);
  await world.exec(world.host, ['ip', '-batch', '-'], {
    input: [
      `address add ${OTHER.ipv4}/32 dev eth1`,
      `address add ${OTHER.ipv6}/128 dev eth1 nodad`,
      `address add ${OTHER.linkLocal}/64 dev eth1 nodad`,
      `address add ${OTHER.loopback}/128 dev lo`,
    ].join('\n'),
  });
  // Otherwise the kernel drops what IPv4 has of it by itself, before any rule.
  const settings = ['all', 'eth0'].flatMap((name) =>
    ['accept_local=1', 'route_localnet=1', 'rp_filter=0'].map((setting) => `net.ipv4.conf.${name}.${setting}`),
  );
  await world.exec(world.host, ['sysctl', '-qw', ...settings]);
});

beforeEach(async () => {
  await world.flushConntrack();
});

afterAll(async () => {
  await world.destroy();
});

function packet(source: string, destination: string, more: Partial<PacketDescription> = {}): PacketDescription {
  return { source, destination, protocol: UDP, sourcePort: 4_000, destinationPort: 53, identity: 0, ...more };
}

/** Which of the packets, by their place, the host's rules let in by eth0. */
async function passing(packets: readonly PacketDescription[]): Promise<readonly number[]> {
  const numbered = packets.map((one, i) => ({ ...one, identity: i + 1, sourcePort: 4_000 + i }));
  const passed = await sendInbound(world, 'eth0', numbered);
  return numbered.flatMap(({ identity }, i) => (passed.has(identity) ? [i] : []));
}

const all = (packets: readonly unknown[]): readonly number[] => packets.map((_, i) => i);

describe('what comes in with an address of the host itself, or for loopback', () => {
  const forged = (): readonly PacketDescription[] => {
    const { host } = world.link('eth0');
    return [
      ...[host.ipv4, OTHER.ipv4, '127.0.0.1'].map((source) => packet(source, host.ipv4)),
      ...[host.ipv6, host.linkLocal, OTHER.ipv6, OTHER.loopback].map((source) => packet(source, host.ipv6)),
      packet(host.linkLocal, host.linkLocal),
      packet(host.ipv6, host.linkLocal),
      packet(endOf(world.link('eth0'), 'peer', 'ipv4'), '127.0.0.1'),
      packet(host.ipv6, host.ipv6, { protocol: 6, destinationPort: 22 }),
      packet(host.ipv6, host.ipv6, { protocol: 58, icmpType: 128, icmpCode: 0 }),
    ];
  };

  test('is dropped, though the rules allow everything', async () => {
    await firewall.apply(EVERYTHING);
    expect(await passing(forged())).toEqual([]);
    await firewall.apply({ ...EVERYTHING, platform: { ownAddress: false } });
    expect(await passing(forged())).toEqual(all(forged()));
  });

  test('is not what others send: neighbours, also with an address that is link-local on another link of the host', async () => {
    const { host, peer } = world.link('eth0');
    const honest = [
      packet(peer.ipv4, host.ipv4),
      packet('203.0.113.9', host.ipv4),
      packet('203.0.113.9', OTHER.ipv4),
      packet(peer.ipv6, host.ipv6),
      packet(peer.linkLocal, host.linkLocal),
      packet(OTHER.linkLocal, host.linkLocal),
      packet(OTHER.linkLocal, host.ipv6),
    ];
    await firewall.apply(EVERYTHING);
    expect(await passing(honest)).toEqual(all(honest));
  });

  test('is let by where nothing filters', async () => {
    await firewall.apply({ ...EVERYTHING, groups: [] });
    const { host } = world.link('eth0');
    const forgedThere = [packet(host.ipv6, host.ipv6)];
    expect(await passing(forgedThere)).toEqual([]);
    await world.nft('add table inet secgroupd\ndelete table inet secgroupd');
    expect(await passing(forgedThere)).toEqual([0]);
    await firewall.remove();
  });
});

describe('what the host sends to itself and to many', () => {
  /** A program that hears what it says to a group or to everybody itself; exits with 0 if it does. */
  const LISTENER = `
import socket, struct, sys
family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
index = socket.if_nametoindex('eth0')
with socket.socket(family, socket.SOCK_DGRAM) as sock:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.bind(('', 5353))
    sock.settimeout(2)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        if sys.argv[1].startswith('ff'):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(family, sys.argv[1]) + struct.pack('@I', index))
    elif sys.argv[1].startswith('224'):
        membership = socket.inet_aton(sys.argv[1]) + struct.pack('@4sI', bytes(4), index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    sock.sendto(b'hello', (sys.argv[1], 5353))
    try:
        sys.exit(0 if sock.recv(99) == b'hello' else 1)
    except TimeoutError:
        sys.exit(1)
`;
  const hears = async (address: string): Promise<boolean> =>
    (await world.exec(world.host, ['python3', '-c', LISTENER, address], { reject: false })).exitCode === 0;

  test.each(['224.0.0.251', '10.77.0.255', 'ff02::fb'])('to %s comes back as its rules say', async (address) => {
    await firewall.apply(EVERYTHING);
    expect(await hears(address)).toBe(true);
    // The copy comes in by eth0, and is no answer to anything.
    await firewall.apply({ outbound: [{ destination: 'any' }] });
    expect(await hears(address)).toBe(false);
  });

  test.each([OTHER.ipv4, OTHER.ipv6, OTHER.loopback, '127.0.0.1', '::1'])(
    'to %s passes by loopback',
    async (address) => {
      await firewall.apply({});
      expect(await hears(address)).toBe(true);
    },
  );
});

test('a packet that another table sends to loopback is judged by the rules', async () => {
  const { host, peer } = world.link('eth0');
  await firewall.apply({ inbound: [{ protocol: 'udp', ports: 8_053, source: 'any' }] });
  await world.nft(`table ip redirected {
  chain pre {
    type nat hook prerouting priority dstnat;
    ip daddr ${host.ipv4} udp dport 53 dnat to 127.0.0.1:8053
    ip daddr ${host.ipv4} udp dport 54 dnat to 127.0.0.1:8054
  }
}`);
  const sent = [53, 54].map((destinationPort, i) => packet(peer.ipv4, host.ipv4, { destinationPort, identity: i + 1 }));
  const { others } = await observeInbound(world, 'eth0', sent);
  const UDP_DESTINATION_PORT = 22;
  const ports = others.filter((one) => one[0] === 0x45).map((one) => one.readUInt16BE(UDP_DESTINATION_PORT));
  expect(ports).toEqual([8_053]);
  expect(await passing([packet(peer.ipv4, '127.0.0.1', { destinationPort: 8_053 })])).toEqual([]);
  await world.nft('delete table ip redirected');
});
