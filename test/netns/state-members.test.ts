import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { InForce } from '#core/model/nft/in-force.ts';
import type { World } from './harness/world.ts';
import { createWorld } from './harness/world.ts';
import {
  addPeerAddresses,
  arrivesWhole,
  CARRIERS,
  carries,
  closeFlows,
  type Firewall,
  type Flow,
  firewallOf,
  type Keys,
  leaks,
  openFlow,
  quiet,
  talking,
} from './scenario.ts';

let world: World;
let firewall: Firewall;

/** Two clients, by their addresses: all that a test does concerns the second. */
const STAYS = { ipv4: '198.51.100.1', ipv6: '2001:db8:a::1' };
const LEAVES = { ipv4: '198.51.100.2', ipv6: '2001:db8:a::2' };

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  firewall = firewallOf(world);
  await addPeerAddresses(world, [STAYS, LEAVES].flatMap(Object.values<string>));
});

afterEach(closeFlows);

afterAll(async () => {
  await world.destroy();
});

const list = (name: string): Keys => ({ addressGroup: name });
const entries = ({ ipv4, ipv6 }: typeof STAYS): readonly string[] => [ipv4, ipv6];
const from = (sources: readonly unknown[]): readonly Keys[] => sources.map((source) => ({ source }));
const lines = (...words: readonly string[]): string => words.join('\n');

/** Ways in which the second client comes and goes; where `rules` change, more than elements of sets do. */
const WAYS: readonly {
  readonly name: string;
  readonly changes: 'elements' | 'rules';
  readonly apply: (allowed: boolean) => Promise<InForce>;
}[] = [
  {
    name: 'a member of a security group',
    changes: 'elements',
    apply: async (allowed) => {
      const instance = (client: typeof STAYS, groups: readonly string[]): Keys => ({
        interfaces: { eth0: { addresses: entries(client), securityGroups: groups } },
      });
      return await firewall.apply({
        inbound: from([{ securityGroup: 'clients' }]),
        securityGroups: { clients: {} },
        instances: { stays: instance(STAYS, ['clients']), leaves: instance(LEAVES, allowed ? ['clients'] : []) },
      });
    },
  },
  {
    name: 'an entry of an address group',
    changes: 'elements',
    apply: async (allowed) =>
      await firewall.apply({
        inbound: from([list('clients')]),
        addressGroups: { clients: { addresses: [...entries(STAYS), ...(allowed ? entries(LEAVES) : [])] } },
      }),
  },
  {
    name: 'a line of a list file',
    changes: 'elements',
    apply: async (allowed) =>
      await firewall.apply(
        { inbound: from([list('clients')]), addressGroups: { clients: { file: 'clients.txt' } } },
        { 'clients.txt': lines('# clients', ...entries(STAYS), ...(allowed ? entries(LEAVES) : [])) },
      ),
  },
  {
    name: 'a network in a list file',
    changes: 'elements',
    apply: async (allowed) =>
      await firewall.apply(
        { inbound: from([list('clients')]), addressGroups: { clients: { file: 'clients.txt' } } },
        {
          'clients.txt': lines(
            ...['198.51.100.0/31', '2001:db8:a::/127'],
            ...(allowed ? ['198.51.100.4/31', '198.51.100.2/32', '2001:db8:a::2-2001:db8:a::5'] : []),
          ),
        },
      ),
  },
  {
    name: 'a line that a blocklist has not',
    changes: 'elements',
    apply: async (allowed) =>
      await firewall.apply(
        {
          inbound: [{ action: 'deny', source: list('blocked') }, ...from(['any'])],
          addressGroups: { blocked: { file: 'blocked.txt' } },
        },
        { 'blocked.txt': lines('192.0.2.0/24', ...(allowed ? [] : entries(LEAVES))) },
      ),
  },
  {
    name: 'a group on the interface',
    changes: 'rules',
    apply: async (allowed) =>
      await firewall.apply({
        inbound: from(entries(STAYS)),
        groups: allowed ? ['web', 'more'] : ['web'],
        securityGroups: { more: { inbound: from(entries(LEAVES)) } },
      }),
  },
];

describe.each(WAYS)('$name', ({ changes, apply }) => {
  test('taken away, its flows die; given back, they go on; the others do not notice', async () => {
    const before = await apply(true);
    const gauge = await openFlow({ world, transport: 'tcp', family: 'ipv4', port: 7_000, source: STAYS.ipv4 });
    const staying = await Promise.all(
      CARRIERS.map(async (carrier, i) => {
        const client = { mode: 'chatty', interval: 2 } as const;
        return await openFlow({ world, ...carrier, port: 7_001 + i, source: STAYS[carrier.family], client });
      }),
    );
    const leaving = await Promise.all(
      CARRIERS.map(async (carrier, i) => {
        const server = talking(carrier.transport);
        return await openFlow({ world, ...carrier, port: 7_011 + i, source: LEAVES[carrier.family], server });
      }),
    );
    const after = await apply(false);
    expect(after.contentHash).not.toBe(before.contentHash);
    if (changes === 'elements') expect(after.chains).toEqual(before.chains);
    const leaked = async ({ near, far }: Flow): Promise<readonly number[]> =>
      await Promise.all([leaks(near, far, gauge, 100), leaks(far, near, gauge, 100)]);
    expect(await Promise.all(leaving.map(leaked))).toEqual(CARRIERS.map(() => [0, 0]));
    await apply(true);
    await Promise.all(leaving.map(async ({ near, far }) => await carries(near, far, 'data of one that came back')));
    await Promise.all(staying.map(async ({ near, far }) => await arrivesWhole(near, far)));
  });
});

describe.each(CARRIERS)('outbound $transport $family', (carrier) => {
  const port = 7_100;

  test.each([
    { name: 'deleted', spec: { outbound: [] } },
    {
      name: 'outdone by a deny rule',
      spec: {
        outbound: [
          { destination: 'any', priority: 2 },
          { action: 'deny', destination: 'any' },
        ],
      },
    },
    { name: 'gone with its group', spec: { groups: [] } },
  ])('its rule $name, a live flow does not notice, and a new one fails', async ({ spec }) => {
    await firewall.apply({ outbound: [{ destination: 'any', priority: 2 }] });
    const flow = { world, ...carrier, opener: 'host' } as const;
    const heard = await openFlow({ ...flow, port, server: talking(carrier.transport, 2) });
    const client = { mode: 'chatty', interval: 2 } as const;
    const said = await openFlow({ ...flow, port: port + 1, client, server: quiet(carrier.transport) });
    for (let i = 0; i < 3; i += 1) await firewall.apply(spec);
    await expect(openFlow({ ...flow, port: port + 2, patience: 300 })).rejects.toThrow();
    await carries(heard.near, heard.far);
    await arrivesWhole(said.near, said.far);
    await arrivesWhole(heard.far, heard.near);
  });
});

test('datagrams of the host that nobody has answered are no live flow yet', async () => {
  await firewall.apply({ outbound: [{ destination: 'any' }] });
  const unanswered = await openFlow({ world, transport: 'udp', family: 'ipv4', opener: 'host', port: 7_200 });
  await firewall.apply({ outbound: [] });
  expect(await unanswered.near.write(1)).toMatchObject({ error: 'EPERM' });
});
