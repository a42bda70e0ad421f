import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { compareTable } from '#core/meaning/verify/compare-table.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import type * as Protocols from '#core/model/policy/protocols.ts';
import type { Shape } from '#core/translate/4-compile/compile-rule-list.ts';
import { decodeTable } from '#kernel/nftables/read-table.ts';
import { enforce, hostPolicyOf } from './enforce.ts';
import { type PacketDescription, toAddress } from './harness/packet.ts';
import { sendInbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';

// Two protocols with ports that the language has no words for get a row each, and the kernel judges their packets.
vi.mock('#core/model/policy/protocols.ts', async (original) => {
  const { withAddedProtocols } = await import('../added-protocols.ts');
  return withAddedProtocols(await original<typeof Protocols>());
});

/** What follows the ports in the header of a packet that opens a flow; without it conntrack calls the packet invalid. */
const AFTER_PORTS: Readonly<Record<string, Uint8Array>> = {
  // No verification tag, a checksum that is not looked at, and an INIT chunk of 20 bytes (RFC 9260 section 3.3.2).
  sctp: Buffer.from('00000000000000010100001400000001000100000001000100000001', 'hex'),
  // All of it is covered by a checksum that is not looked at (RFC 3828 section 3.1).
  udplite: Buffer.from('00000001', 'hex'),
  tcp: new Uint8Array(),
  udp: new Uint8Array(),
};
const NUMBERS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132, udplite: 136 };
const NAMES = Object.keys(NUMBERS);
const SHAPES: readonly Shape[] = ['linear', 'segments', 'classes'];

let world: World;
let inForce: InForce | undefined;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
  // conntrack calls UDP-Lite with a right checksum invalid: measured on Linux 6.18, with sockets of the kernel's own.
  await world.host.agent.request('settings', { settings: { 'net/netfilter/nf_conntrack_checksum': '0' } });
});
afterAll(async () => {
  await world.destroy();
});

function policyText(word: string, count: number): string {
  const rules = Array.from({ length: count }, (_, i) => {
    const source = i === count - 1 ? 'any' : `192.0.2.${i + 1}`;
    return `      - { protocol: ${word}, ports: ${3000 + i}, source: ${source} }\n`;
  });
  return `version: 1
securityGroups:
  app:
    inbound:
${rules.join('')}instances:
  host: { interfaces: { eth0: { securityGroups: [app] } } }
`;
}

/** A packet to a port of the host; where the harness knows no header, what it is known by are the ports. */
function packetTo(name: string, port: number, family: 'ipv4' | 'ipv6'): PacketDescription {
  const { host, peer } = world.link('eth0');
  const sourcePort = 40_000 + NAMES.indexOf(name);
  return {
    source: peer[family],
    destination: host[family],
    protocol: NUMBERS[name] ?? 0,
    sourcePort,
    destinationPort: port,
    identity: sourcePort * 65_536 + port,
    payload: AFTER_PORTS[name],
  };
}

describe.each(['sctp', 'udplite'])('ports of %s', (word) => {
  test.each(SHAPES.flatMap((shape) => [2, 21].map((count) => [shape, count] as const)))(
    'are judged by the kernel as the policy says: %s, %d rules',
    async (shape, count) => {
      const policy = await hostPolicyOf(policyText(word, count));
      await world.flushConntrack();
      inForce = await enforce(world, policy, inForce ?? 'untracked', shape);
      const argv = ['nft', '--json', '--numeric', 'list', 'table', 'inet', 'secgroupd'];
      const { stdout } = await world.exec(world.host, argv);
      const { differences, unknown } = compareTable(policy, decodeTable(JSON.parse(stdout)));
      expect([differences, unknown]).toEqual([[], []]);

      const last = 2999 + count;
      for (const family of ['ipv4', 'ipv6'] as const) {
        const packets = NAMES.flatMap((name) => [3000, last, last + 1].map((port) => packetTo(name, port, family)));
        const allowed = packets.filter(({ source, destination, protocol, sourcePort, destinationPort }) => {
          const ends = { source: toAddress(source), destination: toAddress(destination), sourcePort, destinationPort };
          const none = { icmpType: undefined, icmpCode: undefined, hopLimit: undefined };
          const packet = { interface: 'eth0', direction: 'inbound', state: 'new', protocol, ...ends, ...none } as const;
          return evaluate(policy, packet).verdict === 'allow';
        });
        expect(allowed).toEqual([packetTo(word, last, family)]);
        const arrived = await sendInbound(world, 'eth0', packets);
        expect([...arrived]).toEqual(allowed.map(({ identity }) => identity));
      }
    },
  );
});
