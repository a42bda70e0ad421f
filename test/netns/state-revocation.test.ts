import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { World } from './harness/world.ts';
import { createWorld } from './harness/world.ts';
import {
  addPeerAddresses,
  CARRIERS,
  carries,
  closeFlows,
  type Firewall,
  type Flow,
  firewallOf,
  leaks,
  OUTBOUND,
  type Outbound,
  openFlow,
  pause,
  quiet,
  received,
  talking,
  until,
} from './scenario.ts';

let world: World;
let firewall: Firewall;
let lastPort = 5_000;

/** More addresses of the peer. */
const PEERS = { ipv4: ['198.51.100.1', '198.51.100.2'], ipv6: ['2001:db8:a::1', '2001:db8:a::2'] } as const;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  firewall = firewallOf(world);
  await addPeerAddresses(world, [...PEERS.ipv4, ...PEERS.ipv6]);
});

afterEach(closeFlows);

afterAll(async () => {
  await world.destroy();
});

/** A port that no other flow of this world has had. */
function nextPort(): number {
  lastPort += 1;
  return lastPort;
}

/** Lets everyone reach these ports, and no others. */
async function allow(ports: readonly number[], outbound: Outbound): Promise<void> {
  const inbound = ports.flatMap((port) => ['tcp', 'udp'].map((protocol) => ({ protocol, ports: port, source: 'any' })));
  await firewall.apply({ inbound, outbound: OUTBOUND[outbound] });
}

/** A flow that the next change revokes and one that it does not. */
interface Pair {
  readonly revoked: Flow;
  readonly kept: Flow;
}

async function openPair(carrier: (typeof CARRIERS)[number], outbound: Outbound, talks: boolean): Promise<Pair> {
  const ports = [nextPort(), nextPort()] as const;
  await allow(ports, outbound);
  const server = talks ? talking(carrier.transport) : quiet(carrier.transport);
  const open = async (port: number): Promise<Flow> => await openFlow({ world, ...carrier, port, server });
  const pair = { revoked: await open(ports[0]), kept: await open(ports[1]) };
  for (const { near, far } of [pair.revoked, pair.kept]) await carries(far, near);
  return pair;
}

const CASES = CARRIERS.flatMap((carrier) =>
  (['open', 'restricted'] as const).flatMap((outbound) =>
    [true, false].map((talks) => ({ ...carrier, outbound, talks, server: talks ? 'talking' : 'silent' })),
  ),
);

describe.each(CASES)('$transport $family, outbound $outbound, a $server server', ({ outbound, talks, ...carrier }) => {
  test('revoked, a live flow stops at once, and its neighbour does not notice', async () => {
    const { revoked, kept } = await openPair(carrier, outbound, talks);
    await allow([kept.port], outbound);
    expect(await leaks(revoked.near, revoked.far, kept)).toBe(0);
    const heard = await leaks(revoked.far, revoked.near, kept);
    if (outbound === 'restricted') expect(heard).toBe(0);
    // The host might as well have begun the flow; TCP without acknowledgements has little to say, though.
    else if (carrier.transport === 'udp') expect(heard).toBeGreaterThanOrEqual(100);
    expect((await kept.far.status()).error).toBeNull();
  });

  test('allowed again soon, the flow goes on', async () => {
    const { revoked, kept } = await openPair(carrier, outbound, talks);
    await allow([kept.port], outbound);
    expect(await leaks(revoked.near, revoked.far, kept, 0)).toBe(0);
    const before = await received(revoked.far);
    await allow([kept.port, revoked.port], outbound);
    await carries(revoked.near, revoked.far, 'data of the flow allowed again');
    await carries(revoked.far, revoked.near, 'answers of the flow allowed again');
    // TCP sends again what was dropped meanwhile: nothing is missing in the stream.
    const whole = before + (carrier.transport === 'tcp' ? 200 : 100);
    await until('the whole stream', async () => (await received(revoked.far)) >= whole);
    expect(await received(revoked.far)).toBe(whole);
  });
});

describe.each(CARRIERS)('$transport $family', (carrier) => {
  test('a deny rule before the allowing one revokes the flows of the source it names', async () => {
    const ports = [nextPort(), nextPort()] as const;
    const allowing = { protocol: carrier.transport, ports, source: 'any', priority: 2 };
    await firewall.apply({ inbound: [allowing] });
    const [keptSource, deniedSource] = PEERS[carrier.family];
    const server = talking(carrier.transport);
    const kept = await openFlow({ world, ...carrier, port: ports[0], source: keptSource, server });
    const denied = await openFlow({ world, ...carrier, port: ports[1], source: deniedSource, server });
    await firewall.apply({ inbound: [allowing, { action: 'deny', source: deniedSource, priority: 1 }] });
    expect(await leaks(denied.near, denied.far, kept)).toBe(0);
    expect(await leaks(denied.far, denied.near, kept, 0)).toBe(0);
  });

  test('new flows come about while their rule is there, and only then', async () => {
    const port = nextPort();
    const attempt = async (): Promise<Flow | undefined> => {
      const flow = await openFlow({ world, ...carrier, port, patience: 300 }).catch(() => undefined);
      await closeFlows();
      return flow;
    };
    for (const allowed of [true, false, true]) {
      await allow(allowed ? [port] : [], 'restricted');
      expect((await attempt()) !== undefined).toBe(allowed);
    }
  });
});

/** Flows of all carriers, all revoked but `kept`, whose servers talk. */
async function revokeAll(outbound: Outbound): Promise<{ revoked: readonly Flow[]; kept: Flow }> {
  const specs = CARRIERS.map((carrier) => ({
    ...carrier,
    port: nextPort(),
    server: talking(carrier.transport),
  }));
  const keptPort = nextPort();
  await allow([keptPort, ...specs.map(({ port }) => port)], outbound);
  const kept = await openFlow({ world, transport: 'tcp', family: 'ipv4', port: keptPort });
  const revoked = await Promise.all(specs.map(async (spec) => await openFlow({ world, ...spec })));
  await allow([keptPort], outbound);
  return { revoked, kept };
}

/** Who opened the flow to or from this port of the host, as conntrack has it; undefined where it knows of none. */
async function openerOf(port: number): Promise<'host' | 'peer' | undefined> {
  const lists = await Promise.all(
    ['ipv4', 'ipv6'].map(async (family) => (await world.exec(world.host, ['conntrack', '-L', '-f', family])).stdout),
  );
  const entry = lists.flatMap((list) => list.split('\n')).find((line) => line.includes(`port=${port} `));
  if (entry === undefined) return undefined;
  // Of an entry's two tuples the original one stands first.
  return /dport=(\d+)/.exec(entry)?.[1] === String(port) ? 'peer' : 'host';
}

describe.each(['open', 'restricted'] as const)('outbound %s', (outbound) => {
  test('a revoked flow stays dead however long its server and its client talk', async () => {
    // Its entry lives for a second after the last packet of either side, so it is the server's talk that keeps it.
    const timeouts = ['udp_timeout', 'udp_timeout_stream'].map((name) => `net/netfilter/nf_conntrack_${name}`);
    const set = async (values: readonly string[]): Promise<void> => {
      const settings = Object.fromEntries(timeouts.map((name, i) => [name, values[i] ?? '']));
      await world.host.agent.request('settings', { settings });
    };
    const usual = await Promise.all(
      timeouts.map(async (name) => (await world.exec(world.host, ['cat', `/proc/sys/${name}`])).stdout),
    );
    await set(['1', '1']);
    const { revoked, kept } = await revokeAll(outbound);
    const before = await Promise.all(revoked.map(async ({ far }) => await received(far)));
    const heard = await Promise.all(revoked.map(async ({ near }) => await received(near)));
    const began = performance.now();
    while (performance.now() - began < 4_000) {
      await Promise.all(revoked.map(async ({ near }) => await near.write(10)));
      await pause(500);
    }
    await carries(kept.near, kept.far);
    expect(await Promise.all(revoked.map(async ({ far }) => await received(far)))).toEqual(before);
    if (outbound === 'restricted') {
      expect(await Promise.all(revoked.map(async ({ near }) => await received(near)))).toEqual(heard);
    }
    for (const { port } of revoked) expect(await openerOf(port)).toBe('peer');
    await set(usual);
  });

  test('a revoked flow that conntrack forgot, and nobody remembers, is judged as what the host sends', async () => {
    const { revoked, kept } = await revokeAll(outbound);
    await world.flushConntrack();
    await carries(kept.near, kept.far);
    if (outbound === 'open') {
      // The host opens it anew, as its rules let it.
      for (const [i, { near, far, port }] of revoked.entries()) {
        // Of TCP either end may be heard first, and its client is denied then.
        if (CARRIERS[i]?.transport === 'tcp') continue;
        await until('the host opens the flow', async () => (await openerOf(port)) === 'host');
        await carries(near, far);
      }
    } else {
      for (const { near, far, port } of revoked) {
        expect(await leaks(near, far, kept, 100)).toBe(0);
        expect(await leaks(far, near, kept, 100)).toBe(0);
        expect(await openerOf(port)).toBeUndefined();
      }
    }
  });
});
