import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { InForce } from '#core/model/nft/in-force.ts';
import { type ConformanceCase, type ConformanceFile, caseToPolicy, INTERFACE } from '../conformance/convert.ts';
import { enforce, hostPolicyOf } from './enforce.ts';
import { kernelDropsSource } from './harness/kernel-drops.ts';
import type { PacketDescription } from './harness/packet.ts';
import { observeInbound, observeOutbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';
import { descriptionOf, type WirePacket } from './neutral-packet.ts';

const { cases } = parse(readFileSync(new URL('../conformance/cases.yaml', import.meta.url), 'utf8')) as ConformanceFile;

const MULTICAST_SOURCE = 'its source is a multicast address, which the kernel drops before any hook (ip6_rcv_core)';

/** The cases that no real packet can express, and why; `sgctl explain` is asked about them all the same. */
const INEXPRESSIBLE: Readonly<Record<string, string>> = {
  'cpp-v6-mix-2': MULTICAST_SOURCE,
  'cpp-v6-mix-3': MULTICAST_SOURCE,
  'cpp-v6-mix-5': MULTICAST_SOURCE,
};

// The host answers for ports that nobody listens on, and a reset would end the flow that a case has just begun.
const NO_RESETS = `
table inet quiet {
  chain output {
    type filter hook output priority raw
    tcp flags & rst == rst drop
  }
}
`;

let world: World;
let inForce: InForce | undefined;
let ownAddress: string | undefined;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: INTERFACE }] });
  await world.nft(NO_RESETS);
});

afterAll(async () => {
  await world.destroy();
});

/** Makes the host the one that has `address`, and no other of a case. */
async function becomeHost(address: string): Promise<void> {
  if (ownAddress === address) return;
  const change = (verb: string, own: string, flags: string): string =>
    `address ${verb} ${own}/${own.includes(':') ? 128 : 32} dev ${INTERFACE} ${flags}`;
  const commands = ownAddress === undefined ? [] : [change('del', ownAddress, '')];
  ownAddress = undefined;
  const isMulticast = address.startsWith('ff');
  if (!isMulticast) commands.push(change('add', address, address.includes(':') ? 'nodad' : ''));
  await world.exec(world.host, ['ip', '-batch', '-'], { input: commands.join('\n') });
  if (!isMulticast) ownAddress = address;
}

/** Brings a policy into force after the one before, as a daemon that runs on does. */
async function bringIntoForce(text: string, instance: string): Promise<void> {
  const hostPolicy = await hostPolicyOf(text, { instance });
  const before = inForce;
  // Should this fail, the next policy starts from nothing.
  inForce = undefined;
  if (before === undefined) await world.nft('add table inet secgroupd\ndelete table inet secgroupd');
  inForce = await enforce(world, hostPolicy, before ?? 'untracked');
}

/** Sends a packet and says whether it came through, all of it; part of it never may. */
async function passes(direction: 'inbound' | 'outbound', packet: PacketDescription): Promise<boolean> {
  const observe = direction === 'inbound' ? observeInbound : observeOutbound;
  const { arrived, partial } = await observe(world, INTERFACE, [packet]);
  expect([...partial]).toEqual([]);
  return arrived.has(packet.identity);
}

function isAlone({ packet: { ct_state: state } }: ConformanceCase): boolean {
  return state === 'new' || state === 'invalid';
}

const sent = cases.filter(({ id }) => !(id in INEXPRESSIBLE)).map((one) => [one.id, one] as const);

test('the cases that are not sent are those whose packet no hook ever sees', () => {
  const unseen = cases.filter(({ packet }) => packet.direction === 'inbound' && kernelDropsSource(packet.src));
  expect(Object.keys(INEXPRESSIBLE)).toEqual(unseen.map(({ id }) => id));
});

describe('a packet by itself', () => {
  test.each(sent.filter(([, one]) => isAlone(one)))('%s', async (_, source) => {
    const { policyText, before, instance } = caseToPolicy(source);
    const packet: WirePacket = source.packet;
    await becomeHost(packet.direction === 'inbound' ? packet.dst : packet.src);
    if (before !== undefined) await bringIntoForce(before, instance);
    await bringIntoForce(policyText, instance);
    await world.flushConntrack();
    expect(await passes(packet.direction, descriptionOf(packet))).toBe(source.expected === 'allow');
  });
});

describe('a packet of a flow', () => {
  test.each(sent.filter(([, one]) => !isAlone(one)))('%s', async (_, source) => {
    const { policyText, before, instance } = caseToPolicy(source);
    const packet: WirePacket = source.packet;
    const { initial } = packet;
    if (initial === undefined) throw new Error('a packet of a flow without its first packet');
    const description = descriptionOf(packet);
    await becomeHost(packet.direction === 'inbound' ? packet.dst : packet.src);
    await bringIntoForce(before ?? policyText, instance);
    await world.flushConntrack();
    const needsFlow = !source.tags.includes('platform-exemption');
    if (needsFlow) expect(await passes(packet.direction, description)).toBe(false);
    expect(await passes(initial.direction, descriptionOf(initial))).toBe(true);
    if (before !== undefined) {
      expect(await passes(packet.direction, description)).toBe(true);
      await bringIntoForce(policyText, instance);
    }
    expect(await passes(packet.direction, description)).toBe(source.expected === 'allow');
  });
});
