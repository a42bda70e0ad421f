import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import { reached, replaceFile, type Site, useSite } from './harness-daemon/site.ts';

let site: Site;

useSite((made) => {
  site = made;
});

const SMALL = `version: 1
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: 80, source: any }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;

/** Lists, maps of two directions, several judges, and limits of another rate. */
const LARGE = `version: 1
unmanagedInterfaces: deny
logging: { rate: 3 }
addressGroups:
  office: { addresses: [203.0.113.0/24, 198.51.100.7, "2001:db8:1::/48"], file: office.txt }
securityGroups:
  web:
    inbound:
${Array.from({ length: 20 }, (_, i) => `      - { protocol: tcp, ports: "${1_000 + 10 * i}-${1_005 + 10 * i}", source: { addressGroup: office } }`).join('\n')}
    outbound:
${Array.from({ length: 20 }, (_, i) => `      - { protocol: udp, ports: ${2_000 + i}, destination: 192.0.2.${i} }`).join('\n')}
  other:
    inbound: [{ source: self }]
instances:
  host:
    interfaces:
      eth0: { securityGroups: [web, other], addresses: [10.77.0.1] }
      eth1: { securityGroups: [other] }
      ens*: { securityGroups: [], invalid: match }
      "*": { securityGroups: [web] }
`;

/** Nothing in it is as we make it: another hook for a chain of ours, a set of another type, jumps among its chains. */
const STRANGE = `table inet secgroupd {
  set applied { type ipv4_addr; elements = { 192.0.2.1 } }
  set office.ipv4.g1 { type inet_service; elements = { 22 } }
  limit denied { rate 1/minute; }
  chain in.eth0.g1 { accept; }
  chain live.eth0 { jump in.eth0.g1; }
  chain input { type filter hook forward priority 0; policy accept; jump live.eth0; }
  chain leftover { type filter hook input priority -5; policy drop; }
}
`.replaceAll(/; }$/gm, '\n  }');

async function compiled(policy: string): Promise<string> {
  writeFileSync(join(site.directory, 'office.txt'), '192.0.2.128/25\n2001:db8:2::1\n');
  const file = join(site.directory, 'compiled.yaml');
  replaceFile(file, policy);
  const { exitCode, stdout, stderr } = await site.sgctl('compile', '--instance', 'host', file);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout;
}

/** Loads a script as `nft -f` does with a file: one transaction. */
async function load(script: string): Promise<string> {
  const file = join(site.directory, 'script.nft');
  writeFileSync(file, script);
  await site.nft('-f', file);
  return await site.nft('--stateless', '--numeric', 'list', 'table', 'inet', 'secgroupd');
}

async function isOpen(destinationPort: number): Promise<boolean> {
  const packet = { source: '203.0.113.9', destination: '10.77.0.1', protocol: 6, destinationPort, identity: 1 };
  return (await sendInbound(site.world, 'eth0', [packet])).has(1);
}

describe('the script of sgctl compile, loaded by nft -f', () => {
  const POLICIES = { small: SMALL, large: LARGE };

  test.each(['small', 'large'] as const)('makes the %s policy of whatever our table holds', async (name) => {
    const script = await compiled(POLICIES[name]);
    const alone = await load(script);
    expect(alone).toContain('comment "platform:loopback"');
    expect(await load(script)).toBe(alone);
    for (const before of [await compiled(SMALL), await compiled(LARGE)]) {
      await site.world.nft('delete table inet secgroupd');
      await load(before);
      expect(await load(script)).toBe(alone);
    }
    await site.world.nft('delete table inet secgroupd');
    await site.world.nft(STRANGE);
    expect(await load(script)).toBe(alone);
  });

  test('replaces what a daemon has made of several policies, and what it lets in', async () => {
    const script = await compiled(SMALL);
    const alone = await load(script);
    await site.world.nft('delete table inet secgroupd');
    replaceFile(join(site.directory, 'etc/office.txt'), '192.0.2.128/25\n');
    replaceFile(site.policyFile, SMALL);
    const daemon = await site.start();
    replaceFile(site.policyFile, LARGE);
    await daemon.until('the large policy', reached(2));
    replaceFile(site.policyFile, LARGE.replace('198.51.100.7', '198.51.100.8'));
    await daemon.until('another member', reached(3));
    await daemon.stop();
    expect([await isOpen(80), await isOpen(1_000)]).toEqual([false, true]);
    expect(await load(script)).toBe(alone);
    expect([await isOpen(80), await isOpen(1_000)]).toEqual([true, false]);
    // Other tables stay.
    await site.world.nft('table inet other { }');
    await load(script);
    expect(await site.nft('list', 'tables')).toContain('table inet other');
    await site.world.nft('delete table inet other');
  });

  test('is one transaction in JSON too', async () => {
    const file = join(site.directory, 'compiled.yaml');
    const script = await compiled(SMALL);
    const { stdout } = await site.sgctl('compile', '--json', '--instance', 'host', file);
    const { transactions } = JSON.parse(stdout) as { readonly transactions: readonly string[] };
    expect(transactions).toHaveLength(1);
    expect(script).toContain(transactions[0]?.trim());
  });
});
