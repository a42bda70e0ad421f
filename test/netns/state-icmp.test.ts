import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Family } from '#core/model/net/address.ts';
import { stateOfUnasked } from '#core/model/policy/unasked-icmp.ts';
import { Agent } from './harness/agent.ts';
import { createNamespaces, namespacePrefix, removeNamespaces } from './harness/namespaces.ts';
import { buildPacket, type PacketDescription } from './harness/packet.ts';
import { sendInbound } from './harness/probe.ts';
import { tcpConnect, tcpServer } from './harness/sockets.ts';
import type { Node, World } from './harness/world.ts';
import { createWorld } from './harness/world.ts';
import {
  CARRIERS,
  carries,
  closeFlows,
  endOf,
  type Firewall,
  firewallOf,
  OUTBOUND,
  openFlow,
  pause,
  quiet,
  received,
  type Transport,
  until,
} from './scenario.ts';

let world: World;
let firewall: Firewall;
/** A host behind the peer, which is the router to it. */
let beyond: Node;

/** The addresses of the link behind the peer, and what of its size the peer can send. */
const ROUTER = { ipv4: '192.0.2.1/24', ipv6: '2001:db8:b::1/64' };
const BEYOND = { ipv4: '192.0.2.2/24', ipv6: '2001:db8:b::2/64' };
const NARROW = 1_300;

const FAMILIES = ['ipv4', 'ipv6'] as const;
const ICMP = { ipv4: 1, ipv6: 58 } as const;
const ECHO_REPLY = { ipv4: 0, ipv6: 129 } as const;
const TOO_BIG = { ipv4: { icmpType: 3, icmpCode: 4 }, ipv6: { icmpType: 2, icmpCode: 0 } } as const;
const PROTOCOL = { tcp: 6, udp: 17 } as const;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  firewall = firewallOf(world);
  const namespace = `${namespacePrefix()}-beyond`;
  createNamespaces([namespace]);
  beyond = { namespace, agent: new Agent(namespace) };
  const router = world.peer('eth0');
  const forwarding = { 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1' };
  await router.agent.request('settings', { settings: forwarding });
  const batch = async (node: Node, lines: readonly string[]): Promise<void> => {
    await world.exec(node, ['ip', '-batch', '-'], { input: lines.join('\n') });
  };
  await batch(router, [
    // Only the router's end is narrow, so that the other end asks for whole segments.
    `link add r0 mtu ${NARROW} type veth peer name eth0 netns ${namespace}`,
    'link set r0 up',
    `address add ${ROUTER.ipv4} dev r0`,
    `address add ${ROUTER.ipv6} dev r0 nodad`,
  ]);
  await batch(beyond, [
    'link set eth0 up',
    `address add ${BEYOND.ipv4} dev eth0`,
    `address add ${BEYOND.ipv6} dev eth0 nodad`,
    ...Object.values(ROUTER).map((address) => `route add default via ${bare(address)}`),
  ]);
});

beforeEach(async () => {
  await world.flushConntrack();
});

afterEach(closeFlows);

afterAll(async () => {
  await beyond.agent.stop();
  removeNamespaces([beyond.namespace]);
  await world.destroy();
});

function bare(address: string): string {
  return address.replace(/\/.*/, '');
}

describe.each(FAMILIES)('%s, all ICMP allowed inbound', (family) => {
  test('of types that nobody asked for those pass that conntrack does not call invalid', async () => {
    await firewall.apply({ inbound: [{ protocol: 'icmp', source: 'any' }] });
    // Redirects of IPv6 are built in, and of multicast router discovery kernels think differently.
    const types = Array.from({ length: 256 }, (_, type) => type).filter((type) => ![137, 151, 152].includes(type));
    const packets = types.map((icmpType) =>
      // An identity of its own for each, and none of 0.
      probe(family, { protocol: ICMP[family], icmpType, icmpCode: 0, identity: icmpType + 1 }),
    );
    const arrived = await sendInbound(world, 'eth0', packets);
    const expected = types.filter((type) => stateOfUnasked(ICMP[family], type) === 'new');
    expect(types.filter((type) => arrived.has(type + 1))).toEqual(expected);
  });
});

describe.each(FAMILIES)('%s, nothing allowed inbound', (family) => {
  test('path-MTU discovery works through a router with a narrow link', async () => {
    await firewall.apply({ outbound: [{ protocol: 'tcp', destination: 'any' }] });
    const address = bare(BEYOND[family]);
    const server = await tcpServer(beyond, { address, port: 80 });
    const connection = await tcpConnect(world.host, { address, port: 80, timeout: 5_000 });
    if (connection.kind === 'failed') throw new Error(connection.reason);
    await connection.socket.write(20_000);
    await until('all that was sent', async () => (await received(server)) === 20_000);
    const { stdout } = await world.exec(world.host, ['ip', 'route', 'get', address]);
    expect(stdout).toContain(`mtu ${NARROW}`);
    await connection.socket.close(true);
    await server.close(true);
  });

  test.each(['tcp', 'udp'] as const)('an ICMP error about a live %s flow passes; others do not', async (transport) => {
    await firewall.apply({ outbound: [{ destination: 'any' }] });
    const { port: hostPort } = (
      await openFlow({ world, transport, family, opener: 'host', port: 8_000, server: quiet(transport) })
    ).near;
    // A packet that is too big for 1,400 bytes, 1,401, ... as errors differ in that only.
    const about = (mtu: number, quoted: Partial<PacketDescription>): PacketDescription => ({
      ...probe(family, { protocol: ICMP[family], ...TOO_BIG[family], identity: mtu }),
      payload: buildPacket({
        source: endOf(world.link('eth0'), 'host', family),
        destination: endOf(world.link('eth0'), 'peer', family),
        protocol: PROTOCOL[transport],
        identity: 1,
        sourcePort: hostPort,
        destinationPort: 8_000,
        ...quoted,
      }),
    });
    const errors = [
      about(1_400, {}),
      about(1_401, { destinationPort: 8_001 }),
      about(1_402, { sourcePort: hostPort === 1_024 ? 1_025 : hostPort - 1 }),
      about(1_403, { protocol: 253 }),
      // A flow the other way round: the peer never opened one.
      about(1_404, { sourcePort: 8_000, destinationPort: hostPort }),
    ];
    expect(await sendInbound(world, 'eth0', errors)).toEqual(new Set([1_400]));
  });

  // Redirects and source quench, which conntrack calls related as it does errors, of a flow that rules have let by.
  const RELATED = {
    ipv4: { errors: [3, 11, 12], others: [4, 5] },
    // A redirect of IPv6 is neighbour discovery, which is built in.
    ipv6: { errors: [1, 2, 3, 4], others: [] },
  } as const;

  test.each(['host', 'peer'] as const)(
    'of ICMP messages about a live flow, which %s opened, only errors pass',
    async (opener) => {
      const inbound = [{ protocol: 'udp', ports: 8_000, source: 'any' }];
      await firewall.apply({ inbound, outbound: [{ destination: 'any' }] });
      const link = world.link('eth0');
      const { near, far } = await openFlow({
        world,
        transport: 'udp',
        family,
        opener,
        port: 8_000,
        server: quiet('udp'),
      });
      // Which the rules in force have labelled: each way a packet.
      await carries(near, far, 'to the far end');
      await carries(far, near, 'to the near end');
      const [hostPort, peerPort] = opener === 'host' ? [near.port, 8_000] : [8_000, near.port];
      const about = (icmpType: number): PacketDescription => ({
        ...probe(family, { protocol: ICMP[family], icmpType, icmpCode: 1, identity: 0x100 + icmpType }),
        payload: buildPacket({
          source: endOf(link, 'host', family),
          destination: endOf(link, 'peer', family),
          protocol: PROTOCOL.udp,
          identity: 1,
          sourcePort: hostPort,
          destinationPort: peerPort,
        }),
      });
      const { errors, others } = RELATED[family];
      const passed = async (): Promise<ReadonlySet<number>> =>
        await sendInbound(world, 'eth0', [...errors, ...others].map(about));
      expect(await passed()).toEqual(new Set(errors.map((type) => 0x100 + type)));
      // They are judged by the rules, as anything else is.
      await firewall.apply({ inbound: [...inbound, { protocol: 'icmp', source: 'any' }] });
      expect(await passed()).toEqual(new Set([...errors, ...others].map((type) => 0x100 + type)));
    },
  );

  test('the answer to a ping of the host passes, and no other', async () => {
    const ping = async (): Promise<number> => {
      const argv = ['ping', '-n', '-c', '2', '-i', '0.1', '-W', '1', endOf(world.link('eth0'), 'peer', family)];
      return (await world.exec(world.host, argv, { reject: false })).exitCode;
    };
    await firewall.apply({ outbound: [{ protocol: 'icmp', icmp: 'echo-request', destination: 'any' }] });
    expect(await ping()).toBe(0);
    const unsolicited = probe(family, { protocol: ICMP[family], icmpType: ECHO_REPLY[family], identity: 0xbeef0001 });
    expect(await sendInbound(world, 'eth0', [unsolicited])).toEqual(new Set());
    await firewall.apply({});
    expect(await ping()).not.toBe(0);
  });

  test.each(['open', 'restricted'] as const)(
    'ping of the host, revoked while it runs, outbound %s',
    async (outbound) => {
      const rule = { protocol: 'icmp', icmp: 'echo-request', source: 'any' };
      const revoke = async (): Promise<unknown> => await firewall.apply({ outbound: OUTBOUND[outbound] });
      const allow = async (): Promise<unknown> =>
        await firewall.apply({ inbound: [rule], outbound: OUTBOUND[outbound] });
      await allow();
      const ping = startPing(world.peer('eth0'), endOf(world.link('eth0'), 'host', family));
      try {
        await until('answers', async () => ping.answers() >= 5);
        await revoke();
        // What was on its way to be read is read meanwhile.
        await pause(100);
        const before = ping.answers();
        await pause(300);
        expect(ping.answers()).toBe(before);
        await allow();
        await until('answers again', async () => ping.answers() >= before + 5);
      } finally {
        await ping.stop();
      }
    },
  );
});

test.each(CARRIERS)(
  'a closed $transport $family port of the peer is told to the host',
  async ({ transport, family }) => {
    await firewall.apply({ outbound: [{ destination: 'any' }] });
    // TCP is told by a reset, which is a reply; UDP by an ICMP error, which is related.
    const { exitCode } = await connectToClosedPort(transport, endOf(world.link('eth0'), 'peer', family));
    expect(exitCode).toBe(0);
  },
);

/** Exits with 0 if it is told that the port is closed, with 1 if it hears nothing for two seconds. */
async function connectToClosedPort(transport: Transport, address: string): Promise<{ exitCode: number }> {
  const program = `
import socket, sys
family = socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM if sys.argv[1] == 'tcp' else socket.SOCK_DGRAM) as sock:
    sock.settimeout(2)
    try:
        sock.connect((sys.argv[2], 9))
        sock.send(b'x')
        sock.recv(1)
    except ConnectionRefusedError:
        sys.exit(0)
    except TimeoutError:
        sys.exit(1)
sys.exit(2)
`;
  return await world.exec(world.host, ['python3', '-c', program, transport, address], { reject: false });
}

/** A packet from the peer to the host. */
function probe(family: Family, description: Omit<PacketDescription, 'source' | 'destination'>): PacketDescription {
  const link = world.link('eth0');
  return { source: endOf(link, 'peer', family), destination: endOf(link, 'host', family), ...description };
}

interface Ping {
  /** How many answers it has told of so far. */
  answers(): number;
  stop(): Promise<void>;
}

/** A ping that runs on, twenty times a second, half a minute at most. */
function startPing({ namespace }: Node, address: string): Ping {
  const argv = ['netns', 'exec', namespace, 'ping', '-n', '-i', '0.05', '-w', '30', address];
  const child: ChildProcess = spawn('ip', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  return {
    answers: () => output.split('bytes from').length - 1,
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
