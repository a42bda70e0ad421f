import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Family } from '#core/model/net/address.ts';
import type { PacketDescription } from './harness/packet.ts';
import { observeInbound, sendInbound, sendOutbound } from './harness/probe.ts';
import type { World } from './harness/world.ts';
import { createWorld } from './harness/world.ts';
import { carries, closeFlows, endOf, type Firewall, firewallOf, openFlow, received, until } from './scenario.ts';

let world: World;
let firewall: Firewall;
let lastIdentity = 0x20000;

const FAMILIES = ['ipv4', 'ipv6'] as const;
const OPEN = 8_001;
const CLOSED = 8_002;
const STRANGER = { ipv4: '203.0.113.77', ipv6: '2001:db8:77::1' } as const;
const GRE = 47;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  firewall = firewallOf(world);
});

beforeEach(async () => {
  await world.flushConntrack();
});

afterEach(closeFlows);

afterAll(async () => {
  await world.destroy();
});

/** A packet between the host and the peer, or a stranger behind it, with an identity of its own. */
function packet(
  direction: 'in' | 'out',
  family: Family,
  {
    other = endOf(world.link('eth0'), 'peer', family),
    ...description
  }: { other?: string } & Partial<PacketDescription>,
): PacketDescription {
  lastIdentity += 1;
  const host = endOf(world.link('eth0'), 'host', family);
  const ends = direction === 'in' ? { source: other, destination: host } : { source: host, destination: other };
  return { ...ends, protocol: 17, identity: lastIdentity, ...description };
}

function identities(packets: readonly PacketDescription[]): Set<number> {
  return new Set(packets.map(({ identity }) => identity));
}

describe.each(FAMILIES)('%s fragments', (family) => {
  const rule = { protocol: 'udp', ports: OPEN, source: 'any' };

  test.each(['inOrder', 'reversed'] as const)('%s: whole to an open port, not one to a closed port', async (order) => {
    await firewall.apply({ inbound: [rule] });
    const cut = (destinationPort: number, sourcePort: number): PacketDescription =>
      packet('in', family, {
        destinationPort,
        sourcePort,
        payload: new Uint8Array(4_000).fill(7),
        fragments: { size: 1_000, order },
      });
    const open = [cut(OPEN, 40_001), cut(OPEN, 40_002)];
    const closed = [cut(CLOSED, 40_003), cut(CLOSED, 40_004)];
    const [first, second] = open as [PacketDescription, PacketDescription];
    const { arrived, partial, others } = await observeInbound(world, 'eth0', [first, ...closed, second]);
    expect(arrived).toEqual(identities(open));
    expect(partial).toEqual(new Set());
    expect(others).toEqual([]);
  });

  test('a datagram that needs them gets to a socket of an open port, and back', async () => {
    const both = [rule, { ...rule, ports: CLOSED }];
    await firewall.apply({ inbound: both });
    const spec = { world, transport: 'udp', family, server: { mode: 'echo' } } as const;
    const open = await openFlow({ ...spec, port: OPEN });
    const closed = await openFlow({ ...spec, port: CLOSED });
    await firewall.apply({ inbound: [rule] });
    await open.near.write(5_000);
    await until('the datagram', async () => (await received(open.far)) === 5_001);
    await until('its echo', async () => (await received(open.near)) === 5_001);
    await closed.near.write(5_000);
    await carries(open.near, open.far);
    expect(await received(closed.far)).toBe(1);
  });
});

describe.each(FAMILIES)('%s GRE', (family) => {
  test('answers of the host to an allowed flow pass without a rule; what answers nothing does not', async () => {
    const peer = endOf(world.link('eth0'), 'peer', family);
    const inbound = [{ protocol: 'gre', source: peer }];
    const others = [STRANGER[family], peer];
    const answers = (): PacketDescription[] => others.map((other) => packet('out', family, { other, protocol: GRE }));
    await firewall.apply({ inbound });
    expect(await sendOutbound(world, 'eth0', answers())).toEqual(new Set());
    const requests = others.map((other) => packet('in', family, { other, protocol: GRE }));
    expect(await sendInbound(world, 'eth0', requests)).toEqual(identities(requests.slice(1)));
    const answered = answers();
    expect(await sendOutbound(world, 'eth0', answered)).toEqual(identities(answered.slice(1)));
    await firewall.apply({});
    expect(await sendOutbound(world, 'eth0', answers())).toEqual(new Set());
  });

  test('answers to the host pass under no inbound rule; unsolicited packets do not', async () => {
    await firewall.apply({ outbound: [{ protocol: 'gre', destination: 'any' }] });
    const opened = packet('out', family, { protocol: GRE });
    expect(await sendOutbound(world, 'eth0', [opened])).toEqual(identities([opened]));
    const answer = packet('in', family, { protocol: GRE });
    const unsolicited = packet('in', family, { other: STRANGER[family], protocol: GRE });
    expect(await sendInbound(world, 'eth0', [answer, unsolicited])).toEqual(identities([answer]));
  });
});

describe.each(FAMILIES)('%s packets that conntrack calls invalid', (family) => {
  const inbound = [{ protocol: 'tcp', ports: OPEN, source: 'any' }];
  /** TCP segments without a flag, and one more that a handshake may begin with. */
  const segments = (): { nullFlags: PacketDescription[]; syn: PacketDescription } => ({
    nullFlags: [OPEN, CLOSED].map((destinationPort) =>
      packet('in', family, { protocol: 6, destinationPort, tcpFlags: 0 }),
    ),
    syn: packet('in', family, { protocol: 6, destinationPort: OPEN, sourcePort: 40_009 }),
  });

  test('are dropped and counted', async () => {
    await firewall.apply({ inbound });
    const before = await invalidDropped();
    const { nullFlags, syn } = segments();
    expect(await sendInbound(world, 'eth0', [...nullFlags, syn])).toEqual(identities([syn]));
    expect((await invalidDropped()) - before).toBe(2);
  });

  test('are judged by the rules with `invalid: match`', async () => {
    await firewall.apply({ inbound, link: { invalid: 'match' } });
    const { nullFlags, syn } = segments();
    const passing = [...nullFlags.slice(0, 1), syn];
    expect(await sendInbound(world, 'eth0', [...nullFlags, syn])).toEqual(identities(passing));
  });
});

/** How many packets eth0 has dropped for being invalid. */
async function invalidDropped(): Promise<number> {
  const { stdout } = await world.exec(world.host, ['nft', 'list', 'table', 'inet', 'secgroupd']);
  const chain = /chain in\/eth0\/\S+ \{(?<rules>(?:\n\t\t.*)*)/.exec(stdout)?.groups?.['rules'] ?? '';
  return Number(/ct state invalid counter packets (?<count>\d+)/.exec(chain)?.groups?.['count']);
}
