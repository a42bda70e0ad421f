import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { World } from './harness/world.ts';
import { createWorld } from './harness/world.ts';
import {
  CARRIERS,
  carries,
  closeFlows,
  type Firewall,
  firewallOf,
  leaks,
  OUTBOUND,
  openFlow,
  quiet,
  talking,
} from './scenario.ts';

/** Flows that are there before the first policy: conntrack meets them midway, and takes who speaks first for the opener. */
let world: World;
let firewall: Firewall;

const ALLOWED = 9_001;
const DENIED = 9_002;
const GAUGE = 9_003;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  firewall = firewallOf(world);
});

afterEach(async () => {
  await endPolicy();
});

async function endPolicy(): Promise<void> {
  await closeFlows();
  // Without a table of ours nothing in the host asks for tracking any more.
  await firewall.remove();
  await world.flushConntrack();
}

afterAll(async () => {
  await world.destroy();
});

const gaugeOf = async (): Promise<Awaited<ReturnType<typeof openFlow>>> =>
  await openFlow({ world, transport: 'tcp', family: 'ipv4', port: GAUGE });

describe.each(CARRIERS)('$transport $family', (carrier) => {
  test.each(['open', 'restricted'] as const)('opened by the peer, outbound %s', async (outbound) => {
    const server = quiet(carrier.transport);
    const gauge = await gaugeOf();
    const allowed = await openFlow({ world, ...carrier, port: ALLOWED, server });
    const denied = await openFlow({ world, ...carrier, port: DENIED, server });
    for (const { near, far } of [allowed, denied]) await carries(far, near);
    expect(await trackedFlows()).toBe(0);
    const inbound = ['tcp', 'udp'].map((protocol) => ({ protocol, ports: [ALLOWED, GAUGE], source: 'any' }));
    await firewall.apply({ inbound, outbound: OUTBOUND[outbound] });
    await carries(allowed.near, allowed.far);
    await carries(allowed.far, allowed.near);
    expect(await leaks(denied.near, denied.far, gauge)).toBe(0);
    if (outbound === 'restricted') expect(await leaks(denied.far, denied.near, gauge, 0)).toBe(0);
    await firewall.apply({ inbound, outbound: OUTBOUND[outbound] });
    await carries(allowed.near, allowed.far);
  });

  test('opened by the host', async () => {
    const server = quiet(carrier.transport);
    const gauge = await gaugeOf();
    const allowed = await openFlow({ world, ...carrier, opener: 'host', port: ALLOWED, server });
    const denied = await openFlow({ world, ...carrier, opener: 'host', port: DENIED, server });
    for (const { near, far } of [allowed, denied]) await carries(far, near);
    await firewall.apply({
      inbound: [{ protocol: 'tcp', ports: GAUGE, source: 'any' }],
      outbound: [{ protocol: carrier.transport, ports: ALLOWED, destination: 'any' }],
    });
    await carries(allowed.near, allowed.far);
    await carries(allowed.far, allowed.near);
    expect(await leaks(denied.near, denied.far, gauge)).toBe(0);
    expect(await leaks(denied.far, denied.near, gauge)).toBe(0);
  });

  test('a server that talks is heard again as soon as its client says something', async () => {
    const allowed = await openFlow({ world, ...carrier, port: ALLOWED, server: talking(carrier.transport) });
    const gauge = await gaugeOf();
    await firewall.apply({
      inbound: [
        { ports: [ALLOWED, GAUGE], protocol: 'tcp', source: 'any' },
        { ports: ALLOWED, protocol: 'udp', source: 'any' },
      ],
    });
    await carries(allowed.near, allowed.far);
    await carries(allowed.far, allowed.near);
    await carries(gauge.near, gauge.far);
  });

  test('a server that talks while the first policy comes is not taken for the opener of its flow', async () => {
    // Many rules, so that it takes the kernel a while from the first that wants tracking to all of them being there.
    const many = Array.from({ length: 2_000 }, (_, i) => ({ protocol: 'tcp', ports: 20_000 + i, source: '192.0.2.1' }));
    const inbound = [{ protocol: 'tcp', ports: GAUGE, source: 'any' }, ...many];
    for (let round = 0; round < 3; round += 1) {
      const gauge = await gaugeOf();
      const denied = await Promise.all(
        Array.from({ length: 8 }, async (_, i) => {
          return await openFlow({ world, ...carrier, port: 9_100 + i, server: talking(carrier.transport, 1) });
        }),
      );
      await firewall.apply({ inbound });
      const leaked = denied.map(async ({ near, far }) => await leaks(near, far, gauge, 50));
      expect(await Promise.all(leaked)).toEqual(denied.map(() => 0));
      await endPolicy();
    }
  });
});

async function trackedFlows(): Promise<number> {
  const { stdout } = await world.exec(world.host, ['cat', '/proc/sys/net/netfilter/nf_conntrack_count']);
  return Number(stdout);
}
