import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InForce } from '#core/model/nft/in-force.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { BARE_HOST, enforce, policyOf } from './enforce.ts';
import { sendInbound, sendOutbound } from './harness/probe.ts';
import { tcpConnect, tcpServer } from './harness/sockets.ts';
import { createWorld, type World } from './harness/world.ts';
import { INTERFACE_ROWS, ROW_INTERFACES } from './parameters/interfaces.ts';
import { ORDER_ROWS } from './parameters/order.ts';
import { readPackets, type WrittenPacket } from './parameters/packet-notation.ts';
import { PLATFORM_ROWS } from './parameters/platform.ts';
import { REMOTE_ROWS } from './parameters/remotes.ts';
import { LISTS } from './parameters/row.ts';
import { TRAFFIC_ROWS } from './parameters/traffic.ts';

let world: World;
let inForce: InForce | undefined;

beforeAll(async () => {
  world = await createWorld({ interfaces: ROW_INTERFACES.map((name) => ({ name })) });
});

afterAll(async () => {
  await world.destroy();
});

/** Brings a policy into force after the one before, as a daemon that runs on does. */
async function bringIntoForce(text: string): Promise<void> {
  const located = locateHost(await policyOf(text, LISTS), BARE_HOST, 'host');
  if (located.kind === 'absent') throw new Error(located.message);
  const before = inForce;
  // Should this fail, the next policy starts from nothing.
  inForce = undefined;
  if (before === undefined) await world.nft('add table inet secgroupd\ndelete table inet secgroupd');
  inForce = await enforce(world, located.hostPolicy, before ?? 'untracked');
}

/** The packets that the notations stand for, each with an identity of its own. */
function packetsOf(notations: readonly string[]): WrittenPacket[] {
  const packets: WrittenPacket[] = [];
  for (const notation of notations) packets.push(...readPackets(notation, world, packets.length + 1));
  return packets;
}

/** Sends packets, each direction of each interface by itself, and returns those that came through, as they are written. */
async function sendAll(packets: readonly WrittenPacket[]): Promise<Set<string>> {
  const arrived = new Set<string>();
  for (const name of new Set(packets.map((packet) => packet.interface))) {
    for (const direction of ['inbound', 'outbound'] as const) {
      const batch = packets.filter((packet) => packet.interface === name && packet.direction === direction);
      if (batch.length === 0) continue;
      // Without ports, what the host sends would answer what it received before.
      await world.flushConntrack();
      const send = direction === 'inbound' ? sendInbound : sendOutbound;
      const identities = await send(
        world,
        name,
        batch.map(({ description }) => description),
      );
      for (const { text, description } of batch) if (identities.has(description.identity)) arrived.add(text);
    }
  }
  return arrived;
}

describe.each([
  ['traffic', TRAFFIC_ROWS],
  ['remotes', REMOTE_ROWS],
  ['order', ORDER_ROWS],
  ['interfaces', INTERFACE_ROWS],
  ['platform traffic', PLATFORM_ROWS],
])('%s', (_, rows) => {
  test.each(rows.map((row) => [row.parameter, row] as const))('%s', async (_parameter, { policy, through, not }) => {
    await bringIntoForce(policy);
    const expected = packetsOf(through);
    const packets = packetsOf([...through, ...not]);
    const texts = packets.map(({ text }) => text);
    expect(texts.filter((text, i) => texts.indexOf(text) < i)).toEqual([]);
    const arrived = await sendAll(packets);
    expect(texts.filter((text) => arrived.has(text))).toEqual(expected.map(({ text }) => text));
  });
});

describe('loopback', () => {
  // Nothing may pass, and every interface is bound.
  const DENY_ALL = `version: 1
unmanagedInterfaces: deny
platform: { neighborDiscovery: false, routerAdvertisement: false, dhcpClient: false, igmp: false }
securityGroups: { g: { inbound: [{ source: any, action: deny }], outbound: [{ destination: any, action: deny }] } }
instances: { host: { interfaces: { "*": { securityGroups: [g] } } } }`;

  test.each([
    ['127.0.0.1', '10.77.0.1'],
    ['::1', 'fd77:0::1'],
  ])('is not filtered: %s, and %s of the host itself', async (loopback, own) => {
    await bringIntoForce(DENY_ALL);
    await world.flushConntrack();
    for (const address of [loopback, own]) {
      const server = await tcpServer(world.host, { address, port: 8080 });
      expect(await tcpConnect(world.host, { address, port: 8080 })).toMatchObject({ kind: 'connected' });
      const strange = await tcpConnect(world.peer('eth0'), { address: own, port: 8080, timeout: 200 });
      expect(strange).toEqual({ kind: 'failed', reason: 'ETIMEDOUT' });
      await server.close();
    }
  });
});
