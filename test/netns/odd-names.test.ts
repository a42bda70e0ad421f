import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InForce } from '#core/model/nft/in-force.ts';
import { enforce, hostPolicyOf } from './enforce.ts';
import { sendInbound } from './harness/probe.ts';
import { createWorld, type World } from './harness/world.ts';

// Interfaces and groups that are called like parts of the names that chains, sets and maps have in the kernel.

const PEER = '198.51.100.7';

let world: World;
let inForce: InForce | undefined;
let identity = 0;

beforeAll(async () => {
  world = await createWorld({ interfaces: [{ name: 'eth0' }] });
});
afterAll(async () => {
  await world.destroy();
});

/** Many rules on eth0, so that they become a tree of chains and maps; one rule on the other. */
function policy(other: string, group: string): string {
  const strict = Array.from({ length: 20 }, (_, i) => ({ protocol: 'tcp', ports: 7_000 + i, source: 'any' }));
  const open = { protocol: 'tcp', ports: '22,7019', source: { securityGroup: group } };
  return JSON.stringify({
    version: 1,
    securityGroups: {
      [group]: { inbound: strict },
      web: { inbound: [open, { protocol: 'tcp', ports: 23, source: 'any' }] },
    },
    instances: {
      host: { interfaces: { eth0: { securityGroups: [group] }, [other]: { securityGroups: ['web'] } } },
      peer: { interfaces: { eth0: { addresses: [PEER], securityGroups: [group] } } },
    },
  });
}

/** Which TCP ports of eth0 the peer is let in to. */
async function openPorts(ports: readonly number[]): Promise<readonly number[]> {
  const packets = ports.map((destinationPort) => {
    identity += 1;
    const destination = world.link('eth0').host.ipv4;
    return { source: PEER, destination, protocol: 6, sourcePort: 1_024 + identity, destinationPort, identity };
  });
  const arrived = await sendInbound(world, 'eth0', packets);
  return packets.flatMap(({ identity: one, destinationPort }) => (arrived.has(one) ? [destinationPort] : []));
}

describe('an interface keeps its rules whatever another one or a group is called', () => {
  test.each([
    ...['eth0.ipv4', 'eth0.ipv4.6', 'eth0.ipv4*', 'eth0.6', 'eth0.g5', 'eth0.2', 'eth0-any', 'eth0_', 'unmanaged'],
    ...['in.eth0', 'state.in.eth0', 'live.eth0', 'opened', 'input', 'applied', 'g1', '-', '=', '+x', '~', '0x1f'],
    ...['goto', 'l*', 'lo*', 'x.g9999999999', 'abcdefghijklmno', 'abcdefghijklmn*'],
  ])('%s', async (other) => {
    inForce = await enforce(world, await hostPolicyOf(policy(other, '10.web')), inForce ?? 'untracked');
    expect(await openPorts([22, 23, 7_000, 7_019, 7_020])).toEqual([7_000, 7_019]);
  });

  test.each(['management', 'ipv4', 'in.eth0', '22-22', '-', 'g1', '0x1f', 'a'.repeat(64)])(
    'group %s',
    async (group) => {
      inForce = await enforce(world, await hostPolicyOf(policy('eth0.10', group)), inForce ?? 'untracked');
      expect(await openPorts([22, 23, 7_000, 7_019, 7_020])).toEqual([7_000, 7_019]);
    },
  );

  test('and the one that is called so has its own', async () => {
    inForce = await enforce(world, await hostPolicyOf(policy('eth0.ipv4', '10.web')), inForce ?? 'untracked');
    await world.exec(world.host, ['ip', 'link', 'set', 'eth0', 'down']);
    await world.exec(world.host, ['ip', 'link', 'set', 'eth0', 'name', 'eth0.ipv4']);
    await world.exec(world.host, ['ip', 'link', 'set', 'eth0.ipv4', 'up']);
    await expect.poll(() => openPorts([22, 23, 7_000, 7_019])).toEqual([22, 23, 7_019]);
  });
});
