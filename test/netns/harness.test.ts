import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { kernelDropsSource, kernelKeepsDestination, kernelReplacesSource } from './harness/kernel-drops.ts';
import { IPV6_EXTENSION_HEADERS, type PacketDescription, TCP_FLAGS, toAddress } from './harness/packet.ts';
import { observeInbound, observeOutbound, sendInbound, sendOutbound } from './harness/probe.ts';
import { monotonicMilliseconds, tcpConnect, tcpServer, udpClient, udpServer } from './harness/sockets.ts';
import { createWorld, type World } from './harness/world.ts';

let lastIdentity = 0x10000;

/** A packet with an identity of its own. */
function packet(description: Omit<PacketDescription, 'identity'>): PacketDescription {
  lastIdentity += 1;
  return { ...description, identity: lastIdentity };
}

function identities(packets: readonly PacketDescription[]): Set<number> {
  return new Set(packets.map(({ identity }) => identity));
}

let world: World;
let inbound4: { source: string; destination: string };
let inbound6: { source: string; destination: string };
let outbound4: { source: string; destination: string };
let outbound6: { source: string; destination: string };

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }, { name: 'eth1' }] });
  const { host } = world.link('eth0');
  inbound4 = { source: '203.0.113.9', destination: host.ipv4 };
  inbound6 = { source: '2001:db8:9::9', destination: host.ipv6 };
  outbound4 = { source: host.ipv4, destination: '203.0.113.9' };
  outbound6 = { source: host.ipv6, destination: '2001:db8:9::9' };
});

afterAll(async () => {
  await world.destroy();
});

beforeEach(async () => {
  await world.nft('add table inet t\ndelete table inet t');
  await world.flushConntrack();
});

/** Puts rules, each of which may drop, before the observer: at the hook of the direction. */
async function load(hook: 'input' | 'output', rules: string): Promise<void> {
  // nft 1.0.6 wants each closing brace on a line of its own.
  await world.nft(`table inet t {\nchain ${hook} {\ntype filter hook ${hook} priority 0\n${rules}\n}\n}`);
}

function kinds(ipv4: { source: string; destination: string }, ipv6: typeof ipv4): PacketDescription[] {
  return [
    packet({ ...ipv4, protocol: 6, destinationPort: 443 }),
    packet({ ...ipv4, protocol: 6, destinationPort: 22 }),
    packet({ ...ipv4, protocol: 17, destinationPort: 53 }),
    packet({ ...ipv4, protocol: 1, icmpType: 0 }),
    packet({ ...ipv4, protocol: 1, icmpType: 8 }),
    packet({ ...ipv4, protocol: 1, icmpType: 13 }),
    packet({ ...ipv4, protocol: 47 }),
    packet({ ...ipv4, protocol: 46 }),
    packet({ ...ipv4, protocol: 253 }),
    packet({ ...ipv6, protocol: 6, destinationPort: 443 }),
    packet({ ...ipv6, protocol: 6, destinationPort: 22 }),
    packet({ ...ipv6, protocol: 17, destinationPort: 53 }),
    packet({ ...ipv6, protocol: 58, icmpType: 1 }),
    packet({ ...ipv6, protocol: 58, icmpType: 128 }),
    packet({ ...ipv6, protocol: 58, icmpType: 135 }),
    packet({ ...ipv6, protocol: 47 }),
    packet({ ...ipv6, protocol: 46 }),
    packet({ ...ipv6, protocol: 253 }),
  ];
}

const drops: readonly { rule: string; hits: (p: PacketDescription) => boolean }[] = [
  { rule: 'meta nfproto ipv4 tcp dport 443 drop', hits: (p) => isIpv4(p) && p.destinationPort === 443 },
  { rule: 'meta nfproto ipv6 tcp dport 443 drop', hits: (p) => !isIpv4(p) && p.destinationPort === 443 },
  { rule: 'udp dport 53 drop', hits: (p) => p.destinationPort === 53 },
  { rule: 'icmp type 0 drop', hits: (p) => p.protocol === 1 && p.icmpType === 0 },
  { rule: 'icmp type 8 drop', hits: (p) => p.protocol === 1 && p.icmpType === 8 },
  { rule: 'icmp type 13 drop', hits: (p) => p.protocol === 1 && p.icmpType === 13 },
  { rule: 'icmpv6 type 1 drop', hits: (p) => p.protocol === 58 && p.icmpType === 1 },
  { rule: 'icmpv6 type 128 drop', hits: (p) => p.protocol === 58 && p.icmpType === 128 },
  { rule: 'ip6 nexthdr 47 drop', hits: (p) => p.protocol === 47 && !isIpv4(p) },
  { rule: 'meta l4proto 46 drop', hits: (p) => p.protocol === 46 },
  { rule: 'ip protocol 253 drop', hits: (p) => p.protocol === 253 && isIpv4(p) },
  { rule: 'meta nfproto ipv6 drop', hits: (p) => !isIpv4(p) },
  { rule: 'drop', hits: () => true },
];

function isIpv4({ source }: PacketDescription): boolean {
  return toAddress(source).family === 'ipv4';
}

test('inbound, all kinds arrive without a ruleset', async () => {
  const packets = kinds(inbound4, inbound6);
  expect(await sendInbound(world, 'eth0', packets)).toEqual(identities(packets));
});

test.each(drops)('inbound, `$rule` makes exactly what it matches missing', async ({ rule, hits }) => {
  await load('input', rule);
  const packets = kinds(inbound4, inbound6);
  const passed = packets.filter((p) => !hits(p));
  expect(passed.length).toBeLessThan(packets.length);
  expect(await sendInbound(world, 'eth0', packets)).toEqual(identities(passed));
});

test('outbound, all kinds arrive without a ruleset', async () => {
  const packets = kinds(outbound4, outbound6);
  expect(await sendOutbound(world, 'eth0', packets)).toEqual(identities(packets));
});

test.each(drops)('outbound, `$rule` makes exactly what it matches missing', async ({ rule, hits }) => {
  await load('output', `oifname "eth0" ${rule}`);
  const packets = kinds(outbound4, outbound6);
  const { arrived, refused } = await observeOutbound(world, 'eth0', packets);
  expect(arrived).toEqual(identities(packets.filter((p) => !hits(p))));
  expect(refused).toEqual(identities(packets.filter(hits)));
});

test('every protocol number arrives, IPv6 hop-by-hop options apart', async () => {
  const all = Array.from({ length: 256 }, (_, protocol) => protocol);
  const in4 = all.map((protocol) => packet({ ...inbound4, protocol }));
  const out4 = all.map((protocol) => packet({ ...outbound4, protocol }));
  const in6 = all.filter((p) => !IPV6_EXTENSION_HEADERS.has(p)).map((protocol) => packet({ ...inbound6, protocol }));
  const out6 = all.map((protocol) => packet({ ...outbound6, protocol }));
  expect(await sendInbound(world, 'eth0', in4)).toEqual(identities(in4));
  expect(await sendOutbound(world, 'eth0', out4)).toEqual(identities(out4));
  expect(await sendInbound(world, 'eth0', in6)).toEqual(identities(in6));
  expect(await sendOutbound(world, 'eth0', out6)).toEqual(identities(out6));
});

test('conntrack finds no probe invalid but those that answer nothing', async () => {
  await load('input', 'ct state invalid drop');
  const packets = kinds(inbound4, inbound6);
  const answers = ({ protocol, icmpType }: PacketDescription): boolean =>
    (protocol === 1 && icmpType === 0) || (protocol === 58 && icmpType === 1);
  expect(await sendInbound(world, 'eth0', packets)).toEqual(identities(packets.filter((p) => !answers(p))));
});

test.each([
  '0.0.0.0',
  '0.1.2.3',
  '10.77.0.1',
  '10.77.0.255',
  '100.64.0.1',
  '127.0.0.1',
  '127.9.9.9',
  '169.254.1.1',
  '192.0.2.1',
  '223.255.255.255',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.254',
  '255.255.255.255',
  '::',
  '::1',
  '::2',
  '::ffff:192.0.2.1',
  '64:ff9b::1',
  'fd77::1',
  'fe80::99',
  'fec0::1',
  'feff::1',
  'ff00::',
  'ff02::1',
  'ffff::1',
])('from the source %s a packet arrives unless the kernel drops it', async (source) => {
  const { destination } = source.includes('.') && !source.includes(':') ? inbound4 : inbound6;
  const packets = [6, 17, 253].map((protocol) => packet({ source, destination, protocol }));
  const expected = kernelDropsSource(source) ? new Set() : identities(packets);
  expect(await sendInbound(world, 'eth0', packets)).toEqual(expected);
});

test.each([
  '0.0.0.0',
  '0.1.2.3',
  '10.77.0.1',
  '10.77.0.2',
  '10.77.0.99',
  '10.77.0.255',
  '10.77.1.1',
  '127.0.0.1',
  '192.0.2.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:192.0.2.1',
  '2001:db8::1',
  'fd77::1',
  'fd77::99',
  'fe80::1',
  'fe80::99',
  'ff00::1',
  'ff01::1',
  'ff11::1',
  'ff02::1',
  'ff0e::1',
])('to the destination %s a packet gets out unless the kernel keeps it', async (destination) => {
  const { source } = destination.includes('.') && !destination.includes(':') ? outbound4 : outbound6;
  const packets = [6, 17, 253].map((protocol) => packet({ source, destination, protocol }));
  const expected = kernelKeepsDestination(destination, world.link('eth0').host) ? new Set() : identities(packets);
  expect(await sendOutbound(world, 'eth0', packets)).toEqual(expected);
});

test('the host sends from addresses that are not its own', async () => {
  const packets = [
    packet({ source: '198.51.100.7', destination: '203.0.113.9', protocol: 6, destinationPort: 80 }),
    packet({ source: '2001:db8:7::7', destination: '2001:db8:9::9', protocol: 6, destinationPort: 80 }),
  ];
  expect(await sendOutbound(world, 'eth0', packets)).toEqual(identities(packets));
});

test.each(['0.0.0.0', '0.0.0.1', '127.0.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', 'ff02::1'])(
  'the source %s stays on the way out unless the kernel replaces it',
  async (source) => {
    const { destination } = source.includes('.') ? outbound4 : outbound6;
    const packets = [packet({ source, destination, protocol: 253 })];
    const expected = kernelReplacesSource(source) ? new Set() : identities(packets);
    expect(await sendOutbound(world, 'eth0', packets)).toEqual(expected);
  },
);

test('TCP flags are as asked', async () => {
  await load('input', 'tcp flags & (syn | ack) == ack drop');
  const open = { ...inbound4, protocol: 6, destinationPort: 80 };
  const packets = [packet(open), packet({ ...open, tcpFlags: TCP_FLAGS.ack })];
  expect(await sendInbound(world, 'eth0', packets)).toEqual(identities(packets.slice(0, 1)));
});

test('interfaces are told apart in both directions', async () => {
  await load('input', 'iifname "eth1" tcp dport 80 drop');
  await load('output', 'oifname "eth1" tcp dport 80 drop');
  const { host } = world.link('eth1');
  const arriving = (destination: string): PacketDescription[] => [
    packet({ ...inbound4, destination, protocol: 6, destinationPort: 80 }),
    packet({ ...inbound4, destination, protocol: 6, destinationPort: 81 }),
  ];
  const by0 = arriving(inbound4.destination);
  const by1 = arriving(host.ipv4);
  expect(await sendInbound(world, 'eth0', by0)).toEqual(identities(by0));
  expect(await sendInbound(world, 'eth1', by1)).toEqual(identities(by1.slice(1)));
  const out0 = arriving('203.0.113.10');
  const out1 = arriving('203.0.113.10');
  expect(await sendOutbound(world, 'eth0', out0)).toEqual(identities(out0));
  expect(await sendOutbound(world, 'eth1', out1)).toEqual(identities(out1.slice(1)));
});

describe.each([
  { state: 'with conntrack', rules: 'ct state new counter' },
  { state: 'without conntrack', rules: '' },
])('fragments $state', ({ rules }) => {
  function large(ends: { source: string; destination: string }): PacketDescription[] {
    return (['inOrder', 'reversed'] as const).flatMap((order) =>
      [7000, 7001].map((destinationPort) =>
        packet({
          ...ends,
          protocol: 17,
          destinationPort,
          payload: Buffer.alloc(3001, 0x61),
          fragments: { size: 1400, order },
        }),
      ),
    );
  }

  test('inbound, all of a packet arrives', async () => {
    await load('input', rules);
    const packets = [...large(inbound4), ...large(inbound6)];
    expect(await observeInbound(world, 'eth0', packets)).toMatchObject({
      arrived: identities(packets),
      partial: new Set(),
      others: [],
    });
  });

  test('outbound, all of a packet arrives', async () => {
    await load('output', rules);
    const packets = [...large(outbound4), ...large(outbound6)];
    expect(await observeOutbound(world, 'eth0', packets)).toMatchObject({
      arrived: identities(packets),
      partial: new Set(),
    });
  });
});

test('reassembled fragments of a dropped port do not arrive, not even one of them', async () => {
  await load('input', 'ct state new udp dport 7001 drop');
  const fragments = { size: 1400, order: 'reversed' } as const;
  const packets = [inbound4, inbound6].flatMap((ends) =>
    [7000, 7001].map((destinationPort) =>
      packet({ ...ends, protocol: 17, destinationPort, payload: Buffer.alloc(3000), fragments }),
    ),
  );
  const passed = packets.filter(({ destinationPort }) => destinationPort === 7000);
  expect(await observeInbound(world, 'eth0', packets)).toMatchObject({
    arrived: identities(passed),
    partial: new Set(),
    others: [],
  });
});

test('a leak of some fragments is seen', async () => {
  // Without conntrack, IPv6 fragments meet the input hook one by one.
  await load('input', 'frag frag-off 0 drop');
  const fragments = { size: 1400, order: 'inOrder' } as const;
  const leaking = packet({ ...inbound6, protocol: 17, payload: Buffer.alloc(3000), fragments });
  const { arrived, partial } = await observeInbound(world, 'eth0', [leaking]);
  expect(arrived).toEqual(new Set());
  expect(partial).toEqual(identities([leaking]));
});

test.each(['inbound', 'outbound'] as const)('5,000 %s packets in one batch lose none', async (direction) => {
  const ends = direction === 'inbound' ? [inbound4, inbound6] : [outbound4, outbound6];
  const send = direction === 'inbound' ? sendInbound : sendOutbound;
  await load(direction === 'inbound' ? 'input' : 'output', 'tcp dport 4999 drop');
  const packets = Array.from({ length: 5_000 }, (_, i) =>
    packet({ ...(ends[i % 2] as typeof inbound4), protocol: i % 4 < 2 ? 17 : 6, destinationPort: i }),
  );
  const arrived = await send(world, 'eth0', packets);
  expect(arrived).toEqual(identities(packets.filter((p) => p.destinationPort !== 4999)));
});

test('a batch whose packets cannot be told apart is refused', async () => {
  const twice = packet({ ...inbound4, protocol: 6 });
  await expect(sendInbound(world, 'eth0', [twice, twice])).rejects.toThrow('one identity');
});

test('an agent says what went wrong', async () => {
  await expect(world.host.agent.request('observe', { interface: 'eth9' })).rejects.toThrow('No such device');
  await expect(world.nft('nonsense')).rejects.toThrow('syntax error');
  expect(() => world.link('eth9')).toThrow('no interface `eth9`');
});

describe.each(['ipv4', 'ipv6'] as const)('sockets over %s', (family) => {
  test('TCP connects through, is refused, and times out where a rule drops', async () => {
    const { host } = world.link('eth0');
    const server = await tcpServer(world.host, { address: host[family], port: 0, mode: 'echo' });
    const target = { address: host[family], port: server.port };
    const connection = await tcpConnect(world.peer('eth0'), target);
    if (connection.kind !== 'connected') throw new Error(connection.reason);
    await connection.socket.write(100);
    await expect.poll(async () => (await connection.socket.status()).received.bytes).toBe(100);
    expect(await server.status()).toMatchObject({
      accepted: 1,
      open: 1,
      received: { bytes: 100 },
      sent: { bytes: 100 },
    });
    await load('input', `tcp dport ${server.port} drop`);
    const dropped = await tcpConnect(world.peer('eth0'), { ...target, timeout: 100 });
    expect(dropped).toEqual({ kind: 'failed', reason: 'ETIMEDOUT' });
    await connection.socket.close(true);
    await server.close();
    await world.nft('flush chain inet t input');
    const refused = await tcpConnect(world.peer('eth0'), target);
    expect(refused).toEqual({ kind: 'failed', reason: 'ECONNREFUSED' });
  });

  test('a chatty TCP server is heard until a rule silences it', async () => {
    const { host } = world.link('eth0');
    const server = await tcpServer(world.host, { address: host[family], port: 0, mode: 'chatty', interval: 5 });
    const connection = await tcpConnect(world.peer('eth0'), { address: host[family], port: server.port });
    if (connection.kind !== 'connected') throw new Error(connection.reason);
    await expect.poll(async () => (await connection.socket.status()).received.messages).toBeGreaterThan(3);
    await load('output', `tcp sport ${server.port} drop`);
    const silenced = monotonicMilliseconds();
    await sleep(60);
    const { received } = await connection.socket.status();
    expect(received.last).toBeLessThan(silenced + 5);
    await connection.socket.close(true);
    await server.close(true);
  });

  test('a UDP server pushes after one datagram until a rule silences it', async () => {
    const { host } = world.link('eth0');
    const server = await udpServer(world.host, { address: host[family], port: 0, mode: 'push', interval: 5 });
    const client = await udpClient(world.peer('eth0'), { address: host[family], port: server.port });
    await sleep(20);
    expect((await client.status()).received.messages).toBe(0);
    await client.write(10);
    await expect.poll(async () => (await client.status()).received.messages).toBeGreaterThan(3);
    await load('output', `udp sport ${server.port} drop`);
    const silenced = monotonicMilliseconds();
    await sleep(60);
    expect((await client.status()).received.last).toBeLessThan(silenced + 5);
    expect(await server.status()).toMatchObject({ received: { bytes: 10, messages: 1 }, error: 'EPERM' });
    await client.close();
    await server.close();
  });
});

test('flushing conntrack forgets flows', async () => {
  const probe = { ...inbound4, protocol: 17, sourcePort: 1, destinationPort: 2 };
  await load('input', 'ct state established drop');
  const [first, second, third] = [packet(probe), packet(probe), packet(probe)];
  // A UDP flow is established by a packet back, not by an ICMP error about it.
  const back = {
    source: probe.destination,
    destination: probe.source,
    protocol: 17,
    sourcePort: 2,
    destinationPort: 1,
  };
  expect(await sendInbound(world, 'eth0', [first])).toEqual(identities([first]));
  const reply = packet(back);
  expect(await sendOutbound(world, 'eth0', [reply])).toEqual(identities([reply]));
  expect(await sendInbound(world, 'eth0', [second])).toEqual(new Set());
  await world.flushConntrack();
  expect(await sendInbound(world, 'eth0', [third])).toEqual(identities([third]));
});
