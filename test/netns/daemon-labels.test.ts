import { expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import { reached, replaceFile, type Site, useSite } from './harness-daemon/site.ts';
import { until } from './harness-daemon/until.ts';

let site: Site;
let identity = 0;

useSite((made) => {
  site = made;
});

function policy(port: number, members: readonly string[] = []): string {
  return `version: 1
securityGroups:
  web:
    inbound:
      - { protocol: udp, ports: ${port}, source: any }
      - { protocol: udp, ports: 7000, source: { securityGroup: friends } }
  friends: {}
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
  friend: { interfaces: { eth0: { addresses: [${members.join(', ')}], securityGroups: [friends] } } }
`;
}

async function comesIn(source: string, sourcePort: number, destinationPort: number): Promise<boolean> {
  identity += 1;
  const destination = site.world.link('eth0').host.ipv4;
  const packet = { source, destination, protocol: 17, sourcePort, destinationPort, identity };
  return (await sendInbound(site.world, 'eth0', [packet])).has(identity);
}

async function liveRule(): Promise<string> {
  return /ct label [\d,]+/.exec(await site.nft('list', 'chain', 'inet', 'secgroupd', 'live/eth0'))?.[0] ?? '';
}

test('flows that were labelled before us lose what they have, and are judged', async () => {
  await site.nft('add table inet other { chain in { type filter hook input priority -10; ct label set 0; }; }');
  expect(await comesIn('198.51.100.9', 1_000, 6_000)).toBe(true);
  await site.nft('flush chain inet other in; add rule inet other in ct state new accept');
  replaceFile(site.policyFile, policy(5_000));
  await site.start();
  expect(await liveRule()).toBe('ct label 127');
  await until('labels are in use', async () => (await liveRule()) === 'ct label 0,127');
  // Its label is the one that tells now that a flow was judged.
  expect(await comesIn('198.51.100.9', 1_000, 6_000)).toBe(false);
  expect(await comesIn('198.51.100.9', 1_001, 5_000)).toBe(true);
  await site.nft('delete table inet other');
});

test('a member that leaves is out at once, and one that stays is not asked twice', async () => {
  const [stays, leaves] = ['198.51.100.1', '198.51.100.2'];
  replaceFile(site.policyFile, policy(5_000, [stays, leaves]));
  const daemon = await site.start();
  expect(await comesIn(stays, 1_000, 7_000)).toBe(true);
  expect(await comesIn(leaves, 1_000, 7_000)).toBe(true);
  const before = await site.table();
  replaceFile(site.policyFile, policy(5_000, [stays]));
  await daemon.until('the member is out', reached(2));
  expect(await comesIn(leaves, 1_000, 7_000)).toBe(false);
  expect(await comesIn(stays, 1_000, 7_000)).toBe(true);
  // The flow of the one that leaves is among the revoked ones, a moment later.
  const changed = (text: string): string =>
    text
      .replace(/generation \d+ sha256:[0-9a-f]+/, '')
      .replace(/, 198\.51\.100\.2/, '')
      .replace(/\n\t\t ?elements = \{ 17 \. 10\.77\.0\.1 \. 7000 \. 198\.51\.100\.2 \. 1000.*\}/, '');
  expect(changed(await site.table())).toBe(changed(before));
});
