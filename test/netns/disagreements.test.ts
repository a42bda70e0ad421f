import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import type { Packet, PacketState } from '#core/model/packet/packet.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import { judge } from '../oracle/oracle.ts';
import { BARE_HOST, enforce, hostPolicyOf, policyOf } from './enforce.ts';
import { type PacketDescription, TCP_FLAGS, toAddress } from './harness/packet.ts';
import { sendInbound, sendOutbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';

// What kernel, evaluator and oracle were once found to say differently, each with what was wrong.

const PEER = '198.51.100.7';

let world: World;
let own: string;
let inForce: InForce | undefined;
let identity = 0;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  own = world.link('eth0').host.ipv4;
  // The host's stack knows nothing of crafted flows, and its resets would end them.
  const noResets =
    'table inet noresets {\n chain output {\n type filter hook output priority -400\n tcp flags rst drop\n }\n}\n';
  await world.nft(noResets);
});

beforeEach(async () => {
  await world.flushConntrack();
});

afterAll(async () => {
  await world.destroy();
});

function policy(inbound: string, outbound = ''): string {
  return `version: 1
securityGroups:
  group:
    inbound: [${inbound}]
    outbound: [${outbound}]
instances:
  host:
    interfaces:
      eth0: { addresses: [${own}], securityGroups: [group] }
`;
}

async function apply(text: string): Promise<void> {
  inForce = await enforce(world, await hostPolicyOf(text), inForce ?? 'untracked');
}

type Content = Omit<PacketDescription, 'identity' | 'source' | 'destination'>;

async function arrives(direction: 'inbound' | 'outbound', content: Content): Promise<boolean> {
  identity += 1;
  const ends = direction === 'inbound' ? { source: PEER, destination: own } : { source: own, destination: PEER };
  const send = direction === 'inbound' ? sendInbound : sendOutbound;
  return (await send(world, 'eth0', [{ ...content, ...ends, identity }])).has(identity);
}

/** What evaluator and oracle say of a packet of the host to the peer. */
async function verdicts(text: string, state: PacketState, content: Content): Promise<readonly string[]> {
  const packet: Packet = {
    interface: 'eth0',
    direction: 'outbound',
    state,
    source: toAddress(own),
    destination: toAddress(PEER),
    protocol: content.protocol,
    sourcePort: content.sourcePort,
    destinationPort: content.destinationPort,
    icmpType: content.icmpType,
    icmpCode: content.icmpCode,
    hopLimit: undefined,
  };
  return [
    evaluate(await hostPolicyOf(text), packet).verdict,
    judge(await policyOf(text), BARE_HOST, 'host' as InstanceName, packet).verdict,
  ];
}

describe('an answer to an inbound flow', () => {
  test('of IPv4 protocol 58 is one of any protocol: the evaluator took it for ICMPv6, which has types', async () => {
    for (const [number, verdict] of [
      [58, 'allow'],
      [59, 'deny'],
    ] as const) {
      expect(
        await verdicts(policy(`{ type: ipv4, protocol: ${number}, source: any }`), 'reply', { protocol: 58 }),
      ).toEqual([verdict, verdict]);
    }
  });

  test('to a ping has the code of the ping: the oracle took it to be 0', async () => {
    const ping = { protocol: 1, icmpType: 8, icmpCode: 7 };
    const pong = { protocol: 1, icmpType: 0, icmpCode: 7 };
    const allowed = policy('{ type: ipv4, protocol: icmp, icmp: { type: 8, code: 7 }, source: any }');
    const denied = policy('{ type: ipv4, protocol: icmp, icmp: { type: 8, code: 0 }, source: any }');
    await apply(allowed);
    expect([await arrives('inbound', ping), await arrives('outbound', pong)]).toEqual([true, true]);
    await apply(denied);
    expect([await arrives('inbound', ping), await arrives('outbound', pong)]).toEqual([false, false]);
    expect(await verdicts(allowed, 'reply', pong)).toEqual(['allow', 'allow']);
    expect(await verdicts(denied, 'reply', pong)).toEqual(['deny', 'deny']);
  });
});

describe('a flow in its middle that conntrack does not know', () => {
  test.each([801, 20_001, 32_767, 40_001])(
    'goes on from local port %i if the outbound rules allow it',
    async (port) => {
      const mine = { protocol: 6, sourcePort: port, destinationPort: 443, tcpFlags: TCP_FLAGS.ack };
      await apply(policy('', '{ protocol: tcp, ports: 443, destination: any }'));
      expect(await arrives('outbound', mine)).toBe(true);
      expect(await arrives('outbound', { ...mine, destinationPort: 444 })).toBe(false);
    },
  );
});
