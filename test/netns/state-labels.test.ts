import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Change } from '#core/model/nft/change.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import { CHAIN_SET_LABELS } from '#core/model/nft/label-chains.ts';
import { scriptText } from '#core/model/nft/script.ts';
import { renderLabels, renderNoLabels } from '#core/translate/6-change/render-change.ts';
import { enforce, hostPolicyOf } from './enforce.ts';
import type { PacketDescription } from './harness/packet.ts';
import { sendInbound, sendOutbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';

/*
 * Flows are labelled once they were judged. These tests send the second packet of a flow, which the label may let
 * through, where the rules of the moment would not let it in.
 */

const CLIENT = '198.51.100.7';
const PORT = 5_000;

let world: World;
let inForce: InForce | undefined;
let identity = 0;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }, { name: 'eth1' }] });
});

beforeEach(async () => {
  await world.flushConntrack();
});

afterAll(async () => {
  await world.destroy();
});

/** The group `open` lets UDP in to the port, and `shut` nothing. */
function policyText(groups: Readonly<Record<'eth0' | 'eth1', 'open' | 'shut'>>, source = 'any', more = 0): string {
  return `version: 1
securityGroups:
  open:
    inbound:
      - { protocol: udp, ports: ${PORT}, source: ${source} }
      - { protocol: tcp, ports: ${6_000 + more}, source: 203.0.113.1 }
  shut:
    inbound: [{ protocol: tcp, ports: ${6_000 + more}, source: 203.0.113.1 }]
instances:
  host:
    interfaces:
      eth0: { securityGroups: [${groups.eth0}] }
      eth1: { securityGroups: [${groups.eth1}] }
`;
}

async function apply(text: string): Promise<InForce> {
  inForce = await enforce(world, await hostPolicyOf(text), inForce ?? 'untracked');
  return inForce;
}

/** Brings a change of labels about. */
async function bring(change: Change | undefined): Promise<void> {
  if (change === undefined) throw new Error('labels can be used anew');
  for (const { script } of change.transactions) await world.nft(scriptText(script));
  inForce = change.next;
}

function inForceNow(): InForce {
  if (inForce === undefined) throw new Error('nothing is in force');
  return inForce;
}

/** Whether a packet of the flow from this port comes in by an interface. */
async function comesIn(name: 'eth0' | 'eth1', sourcePort: number): Promise<boolean> {
  identity += 1;
  const destination = world.link('eth0').host.ipv4;
  const packet: PacketDescription = {
    source: CLIENT,
    destination,
    protocol: 17,
    sourcePort,
    destinationPort: PORT,
    identity,
  };
  return (await sendInbound(world, name, [packet])).has(identity);
}

test('a flow that one interface let in is judged again on another', async () => {
  await apply(policyText({ eth0: 'open', eth1: 'shut' }));
  expect(await comesIn('eth0', 1_001)).toBe(true);
  expect(await comesIn('eth1', 1_001)).toBe(false);
  expect(await comesIn('eth0', 1_001)).toBe(true);
});

test('and so is one that the other let in', async () => {
  await apply(policyText({ eth0: 'shut', eth1: 'open' }));
  expect(await comesIn('eth1', 1_003)).toBe(true);
  expect(await comesIn('eth0', 1_003)).toBe(false);
  expect(await comesIn('eth1', 1_003)).toBe(true);
});

test('a copy that the host gets of its own answer to a broadcast address does not make it the opener', async () => {
  const { ipv4: own } = world.link('eth0').host;
  const everyone = own.replace(/\d+$/, '255');
  const ports = { protocol: 17, sourcePort: 1_005, destinationPort: PORT };
  const request = { ...ports, source: everyone, destination: own, identity: 9_001 };
  const answer = { ...ports, source: own, destination: everyone, sourcePort: PORT, destinationPort: 1_005 };
  // While labels are out of use nothing else lets the copy in.
  const off = renderNoLabels(await apply(policyText({ eth0: 'open', eth1: 'shut' })));
  for (const { script } of off.transactions) await world.nft(scriptText(script));
  inForce = off.next;
  expect((await sendInbound(world, 'eth0', [request])).size).toBe(1);
  for (const packet of [9_002, 9_003].map((number) => ({ ...answer, identity: number }))) {
    expect((await sendOutbound(world, 'eth0', [packet])).size).toBe(1);
  }
  await apply(policyText({ eth0: 'shut', eth1: 'shut' }));
  expect((await sendOutbound(world, 'eth0', [{ ...answer, identity: 9_004 }])).size).toBe(0);
});

test('a flow that is known from before our table went is judged by the one that comes', async () => {
  await world.nft('table inet other { chain in { type filter hook input priority 10; ct state new accept; }; }');
  await apply(policyText({ eth0: 'open', eth1: 'open' }));
  expect(await comesIn('eth0', 1_004)).toBe(true);
  await world.nft('delete table inet secgroupd');
  inForce = await enforce(world, await hostPolicyOf(policyText({ eth0: 'shut', eth1: 'shut' })), undefined);
  expect(await comesIn('eth0', 1_004)).toBe(false);
  await apply(policyText({ eth0: 'open', eth1: 'shut' }));
  expect(await comesIn('eth0', 1_004)).toBe(true);
  await world.nft('delete table inet other');
});

test('a flow that one interface let in passes another that lets it in too', async () => {
  await apply(policyText({ eth0: 'open', eth1: 'open' }));
  expect(await comesIn('eth0', 1_002)).toBe(true);
  expect(await comesIn('eth1', 1_002)).toBe(true);
});

test('a revoked flow stops and one that is still allowed goes on, whatever label is the next', {
  timeout: 300_000,
}, async () => {
  let withoutLabels = 0;
  for (let i = 0; i < CHAIN_SET_LABELS / 2 + 20; i += 1) {
    const { labels } = await apply(policyText({ eth0: 'open', eth1: 'shut' }, 'any', i));
    if (labels === 'none') withoutLabels += 1;
    expect(await comesIn('eth0', 2_000 + i)).toBe(true);
    await apply(policyText({ eth0: 'open', eth1: 'shut' }, i % 2 === 0 ? CLIENT : '198.51.100.8', i));
    expect([i, await comesIn('eth0', 2_000 + i)]).toEqual([i, i % 2 === 0]);
  }
  // They were used up on the way, and everything was judged all the same.
  expect(withoutLabels).toBeGreaterThan(0);
});

test('flows of before labels were put out of use are judged, and once freed of them labelled anew', async () => {
  await apply(policyText({ eth0: 'open', eth1: 'shut' }));
  await world.flushConntrack();
  await bring(renderLabels(inForceNow(), { cleared: true }));
  // It gets the very label that would be the first to be used again.
  expect(await comesIn('eth0', 3_001)).toBe(true);
  await bring(renderNoLabels(inForceNow()));
  expect(await comesIn('eth0', 3_001)).toBe(true);
  await apply(policyText({ eth0: 'shut', eth1: 'shut' }));
  expect(await comesIn('eth0', 3_001)).toBe(false);
  await apply(policyText({ eth0: 'open', eth1: 'shut' }));
  await world.flushConntrack();
  await bring(renderLabels(inForceNow(), { cleared: true }));
  expect(await comesIn('eth0', 3_002)).toBe(true);
});
