import { describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import { reached, replaceFile, type Site, useSite } from './harness-daemon/site.ts';
import { until } from './harness-daemon/until.ts';

function policy(port: number): string {
  return `version: 1
addressGroups:
  good: { addresses: [198.51.100.0/24, 203.0.113.7] }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: ${port}, source: any }
      - { protocol: udp, ports: "53,${port}", source: { addressGroup: good } }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

interface Conflict {
  readonly what: string;
  /** What somebody puts into our own table, so that the next change of it is refused. */
  readonly make: string;
  readonly undo: string;
}

const conflicts: readonly Conflict[] = [
  {
    what: 'the first transaction: a set of ours is there with another type',
    make: 'delete set inet secgroupd applied\nadd set inet secgroupd applied { type ipv4_addr; }',
    undo: 'delete set inet secgroupd applied',
  },
];

describe('a change that the kernel refuses', () => {
  let site: Site;
  let identity = 0;

  useSite((made) => {
    site = made;
  });

  async function openPorts(): Promise<readonly number[]> {
    const ports = [80, 81];
    const packets = ports.map((destinationPort) => {
      identity += 1;
      const common = { source: '203.0.113.9', destination: '10.77.0.1', protocol: 6 };
      return { ...common, sourcePort: 1_024 + identity, destinationPort, identity };
    });
    const arrived = await sendInbound(site.world, 'eth0', packets);
    return ports.filter((_, i) => arrived.has(packets[i]?.identity ?? 0));
  }

  test.each(conflicts.map((one) => [one.what, one] as const))(
    'in %s: the old rules stay whole, it is told, and it ends with its cause',
    async (_what, conflict) => {
      replaceFile(site.policyFile, policy(80));
      const daemon = await site.start();
      expect(await openPorts()).toEqual([80]);
      await site.world.nft(conflict.make);
      const before = await site.table();

      replaceFile(site.policyFile, policy(81));
      const status = await daemon.until('the trouble is told', ({ state }) => state === 'failing');
      expect(status.troubles.map(({ message }) => message).join()).toContain('the kernel was not changed');
      expect(await site.table()).toBe(before);
      expect(await openPorts()).toEqual([80]);
      const text = (await site.sgctl('status')).stdout;
      expect(text).toContain('NOT active: the kernel could not be changed');
      expect(text).toContain('trouble');
      // It tries again by itself, and that changes nothing either.
      await daemon.until('it was tried again', () => daemon.log.filter(({ level }) => level === 50).length >= 2);
      expect(await site.table()).toBe(before);

      await site.world.nft(conflict.undo);
      const mended = await daemon.until('it is in force', ({ state }) => state === 'enforced', 20_000);
      expect(mended.troubles).toEqual([]);
      expect(await openPorts()).toEqual([81]);
    },
  );

  test('in the second transaction, for a stranger’s map that leads to a chain that goes, is made once the map is seen and taken along', async () => {
    replaceFile(site.policyFile, policy(80));
    const daemon = await site.start();
    await site.world.nft(
      'add map inet secgroupd theirs { type ipv4_addr : verdict; }\nadd element inet secgroupd theirs { 192.0.2.1 : goto in/eth0/g1 }',
    );
    // Chains are named after the pattern of their interface.
    replaceFile(site.policyFile, policy(81).replace('eth0:', '"eth*":'));
    // Whether the change or the look for strangers comes first is a matter of milliseconds.
    const mended = await daemon.until(
      'it is in force',
      ({ state, inForce }) => state === 'enforced' && (inForce?.generation ?? 0) > 1,
      20_000,
    );
    expect(mended.troubles).toEqual([]);
    await until('its rules are', async () => (await openPorts()).join() === '81');
    expect(await site.table()).not.toContain('theirs');
  });

  test('what is in force is told while it is refused, since it still is', async () => {
    replaceFile(site.policyFile, policy(80));
    const daemon = await site.start();
    await site.world.nft(conflicts[0]?.make ?? '');
    replaceFile(site.policyFile, policy(81));
    const status = await daemon.until('the trouble is told', ({ state }) => state === 'failing');
    expect(status.inForce).toMatchObject({ generation: 1 });
    expect((await site.sgctl('status')).stdout).not.toContain('no secgroupd rules');
  });

  test('a set that somebody made under the name of the next generation is got out of the way', async () => {
    replaceFile(site.policyFile, policy(80));
    const daemon = await site.start();
    await site.world.nft('add set inet secgroupd ports/1/g2 { type ipv6_addr; }');
    replaceFile(site.policyFile, policy(81));
    const status = await daemon.until('it is in force', ({ state, inForce }) => {
      return state === 'enforced' && (inForce?.generation ?? 0) > 1;
    });
    expect(status.troubles).toEqual([]);
    expect(await openPorts()).toEqual([81]);
    expect(await site.table()).not.toMatch(/set ports\.1\.g2 /);
  });

  test('the file that boots the host is the last that was in force, not the refused one', async () => {
    replaceFile(site.policyFile, policy(80));
    const daemon = await site.start();
    const read = () => site.world.exec(site.world.host, ['cat', `${site.stateDirectory}/last-good.nft`]);
    const before = (await read()).stdout;
    await site.world.nft(conflicts[0]?.make ?? '');
    replaceFile(site.policyFile, policy(81));
    await daemon.until('the trouble is told', ({ state }) => state === 'failing');
    expect((await read()).stdout).toBe(before);
    await site.world.nft(conflicts[0]?.undo ?? '');
    await daemon.until('it is in force', reached(2), 20_000);
    expect((await read()).stdout).toContain('tcp dport 81');
  });
});
