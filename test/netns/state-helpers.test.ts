import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { buildPacket, type PacketDescription } from './harness/packet.ts';
import { sendInbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';
import { closeFlows, endOf, type Firewall, firewallOf, openFlow, quiet } from './scenario.ts';

let world: World;
let firewall: Firewall;

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

/**
 * Adds the flow that a helper would have announced: a conntrack entry with a master, which makes it an expected one, as
 * conntrackd adds entries (ctnetlink_create_conntrack). Arguments are source and source port, destination and destination
 * port of the flow, and of the master. No helper is needed, and this kernel need not have any.
 */
const ANNOUNCE = `
import socket, struct, sys
def attribute(kind, data):
    return struct.pack('=HH', len(data) + 4, kind) + data + bytes(-len(data) % 4)
def nest(kind, *parts):
    return attribute(0x8000 | kind, b''.join(parts))
def tuple_of(kind, source, sport, destination, dport):
    ends = nest(1, attribute(1, socket.inet_aton(source)), attribute(2, socket.inet_aton(destination)))
    ports = [attribute(n, struct.pack('>H', int(port))) for n, port in ((2, sport), (3, dport))]
    return nest(kind, ends, nest(2, attribute(1, b'\\x11'), *ports))
flow, master = sys.argv[1:5], sys.argv[5:9]
body = struct.pack('=BBH', socket.AF_INET, 0, 0)
body += tuple_of(1, *flow) + tuple_of(2, *flow[2:], *flow[:2]) + tuple_of(14, *master)
body += attribute(7, struct.pack('>I', 60))
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sock:
    # IPCTNL_MSG_CT_NEW of NFNL_SUBSYS_CTNETLINK; request, acknowledged, create and exclusive.
    sock.send(struct.pack('=IHHII', len(body) + 16, 0x100, 0x605, 1, 0) + body)
    sys.exit(-struct.unpack_from('=i', sock.recv(4096), 16)[0])
`;

test('a flow that a helper announces passes with helpers switched on, and else by the rules', async () => {
  const inbound = [{ protocol: 'udp', ports: 8_000, source: 'any' }];
  const [host, peer] = [endOf(world.link('eth0'), 'host', 'ipv4'), endOf(world.link('eth0'), 'peer', 'ipv4')];
  await firewall.apply({ inbound });
  const { near } = await openFlow({ world, transport: 'udp', family: 'ipv4', port: 8_000, server: quiet('udp') });
  const announced = [peer, '5000', host, '9000'];
  const argv = ['python3', '-c', ANNOUNCE, ...announced, peer, String(near.port), host, '8000'];
  await world.exec(world.host, argv);

  const datagram = (sourcePort: number, identity: number): PacketDescription => ({
    source: peer,
    destination: host,
    protocol: 17,
    sourcePort,
    destinationPort: 9_000,
    identity,
  });
  const redirect: PacketDescription = {
    source: peer,
    destination: host,
    protocol: 1,
    icmpType: 5,
    icmpCode: 1,
    identity: 3,
    payload: buildPacket({
      ...{ source: host, destination: peer, protocol: 17, identity: 4 },
      ...{ sourcePort: 9_000, destinationPort: 5_000 },
    }),
  };
  const passed = async (): Promise<ReadonlySet<number>> =>
    await sendInbound(world, 'eth0', [datagram(5_000, 1), datagram(5_001, 2), redirect]);
  expect(await passed()).toEqual(new Set());
  await firewall.apply({ inbound, platform: { helpers: true } });
  expect(await passed()).toEqual(new Set([1]));
  await firewall.apply({ inbound });
  expect(await passed()).toEqual(new Set());
  await firewall.apply({ inbound: [...inbound, { protocol: 'udp', ports: 9_000, source: peer }] });
  expect(await passed()).toEqual(new Set([1, 2]));
});
