import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { World } from './harness/world.ts';
import { createWorld } from './harness/world.ts';
import {
  arrivesWhole,
  CARRIERS,
  closeFlows,
  counters,
  type Firewall,
  firewallOf,
  type Keys,
  leaks,
  openFlow,
  type PolicySpec,
  talking,
} from './scenario.ts';

let world: World;
let firewall: Firewall;

/** The ports of the flows that must not notice, and of the one that the first of the changes revokes. */
const PORTS = '6000-6099';
const REVOKED = 6_100;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  firewall = firewallOf(world);
});

afterEach(closeFlows);

afterAll(async () => {
  await world.destroy();
});

const rules: readonly Keys[] = ['tcp', 'udp'].map((protocol) => ({ protocol, ports: PORTS, source: 'any' }));
const another = (i: number): Keys => ({ protocol: 'tcp', ports: 7_000 + i, source: '203.0.113.0/24' });
const priced = (priority: number): readonly Keys[] => rules.map((rule) => ({ ...rule, priority }));

/** The changes that alternate; each leaves the flows' verdict what it was. */
const CHANGES: readonly { readonly name: string; readonly spec: (i: number) => PolicySpec }[] = [
  { name: 'another rule of the group', spec: (i) => ({ inbound: [another(i), ...rules] }) },
  {
    name: 'a deny rule that does not concern them',
    spec: (i) => ({ inbound: [...rules, { ...another(i), action: 'deny' }] }),
  },
  {
    name: 'the description of their rule',
    spec: (i) => ({ inbound: rules.map((rule) => ({ ...rule, description: `${i}` })) }),
  },
  {
    name: 'the order of rules',
    spec: (i) => ({ inbound: i % 2 === 0 ? [...rules, another(0)] : [another(0), ...rules.toReversed()] }),
  },
  { name: 'the priority of their rule', spec: (i) => ({ inbound: priced((i % 100) + 1) }) },
  {
    name: 'their rule for equal ones',
    spec: (i) => ({
      inbound:
        i % 2 === 0
          ? rules
          : ['0.0.0.0/0', '::/0'].flatMap((source) =>
              [6, 17].map((protocol) => ({ protocol, ports: ['6000-6050', '6051-6099'], source })),
            ),
    }),
  },
  {
    name: 'the group that allows them',
    spec: (i) => ({
      groups: i % 2 === 0 ? ['web', 'other'] : ['other'],
      inbound: rules,
      securityGroups: { other: { inbound: rules } },
    }),
  },
  { name: 'outbound rules', spec: (i) => ({ inbound: rules, outbound: i % 2 === 0 ? [] : [{ destination: 'any' }] }) },
];

test.each(CHANGES)('20 changes of $name: flows do not notice', async ({ spec }) => {
  await firewall.apply({ inbound: [...rules, { protocol: 'udp', ports: REVOKED, source: 'any' }] });
  // Of UDP, as a revoked TCP flow would send again what is lost, and here nobody shall.
  const revoked = await openFlow({ world, transport: 'udp', family: 'ipv4', port: REVOKED });
  const gauge = await openFlow({ world, transport: 'tcp', family: 'ipv4', port: 6_000 });
  const client = { mode: 'chatty', interval: 2 } as const;
  const talkers = await Promise.all(
    CARRIERS.map(async (carrier, i) => await openFlow({ world, ...carrier, port: 6_001 + i, client })),
  );
  const listeners = await Promise.all(
    CARRIERS.map(async (carrier, i) => {
      return await openFlow({ world, ...carrier, port: 6_011 + i, server: talking(carrier.transport, 2) });
    }),
  );
  const retransmitted = await retransmissions();
  for (let i = 0; i < 20; i += 1) await firewall.apply(spec(i));
  expect(await leaks(revoked.near, revoked.far, gauge)).toBe(0);
  // Whoever speaks ends first, so that all it sent can be waited for.
  await Promise.all([
    ...talkers.map(async ({ near, far }) => await arrivesWhole(near, far)),
    ...listeners.map(async ({ near, far }) => await arrivesWhole(far, near)),
  ]);
  expect((await retransmissions()) - retransmitted).toBe(0);
});

async function retransmissions(): Promise<number> {
  const counts = await Promise.all([world.host, world.peer('eth0')].map(async (node) => await counters(world, node)));
  return counts.reduce((sum, count) => sum + (count.get('Tcp.RetransSegs') ?? Number.NaN), 0);
}
