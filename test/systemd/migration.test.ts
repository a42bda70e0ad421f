import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sendInbound } from '../netns/harness/probe.ts';
import { until } from '../netns/harness-daemon/until.ts';
import { createMachine, type Machine, PROJECT_INSIDE } from './machine/machine.ts';

/** The page that says one policy in the words of several firewalls. */
const PAGE = readFileSync(new URL('../../config/migration.md', import.meta.url), 'utf8');

const TCP = 6;
/** Source, TCP port or ping, and whether it is let in. */
const PACKETS = [
  ['198.51.100.7', 'ping', true],
  ['2001:db8:2::5', 'ping', true],
  ['203.0.113.5', 22, true],
  ['198.51.100.7', 22, false],
  ['192.0.2.10', 22, false],
  ['198.51.100.7', 80, true],
  ['198.51.100.7', 443, true],
  ['198.51.100.66', 443, false],
  ['198.51.100.67', 443, true],
  ['192.0.2.10', 5_432, true],
  ['192.0.2.11', 5_432, true],
  ['192.0.2.12', 5_432, false],
  ['203.0.113.5', 5_432, false],
  ['198.51.100.7', 8_080, false],
  ['2001:db8:1::5', 22, true],
  ['2001:db8:2::5', 22, false],
  ['2001:db8:2::5', 80, true],
  ['2001:db8:2::5', 8_080, false],
] as const;

let machine: Machine;
let identity = 0;

beforeAll(async () => {
  machine = await createMachine('bookworm', 'firewalls');
  await machine.powerOn();
  await machine.booted();
  // Of IPv6 a link that was down keeps nothing; and firewalld asks for a way back to whoever sends.
  await machine.exec(['ip', 'address', 'replace', `${host().ipv6}/64`, 'dev', 'eth0', 'nodad']);
  await machine.exec(['ip', '-6', 'route', 'replace', 'default', 'dev', 'eth0']);
});
afterAll(async () => {
  await machine?.remove();
});

function host(): { readonly ipv4: string; readonly ipv6: string } {
  return machine.world.link('eth0').host;
}

/** The text of the page's block that begins so. */
function block(heading: string): string {
  const [, text] = new RegExp(`^\`\`\`${heading}\\n([^]*?)^\`\`\`$`, 'm').exec(PAGE) ?? [];
  if (text === undefined) throw new Error(`the page has no block \`${heading}\``);
  return text;
}

/** The packets, with whether each was let in. */
async function judged(): Promise<readonly (readonly [string, number | string, boolean])[]> {
  const sent = PACKETS.map(([source, what]) => {
    identity += 1;
    const isIpv6 = source.includes(':');
    const ends = { source, destination: isIpv6 ? host().ipv6 : host().ipv4, identity };
    if (what === 'ping')
      return { ...ends, ...(isIpv6 ? { protocol: 58, icmpType: 128 } : { protocol: 1, icmpType: 8 }) };
    return { ...ends, protocol: TCP, destinationPort: what, sourcePort: 1_024 + identity };
  });
  await machine.world.flushConntrack();
  const arrived = await sendInbound(machine.world, 'eth0', sent);
  return PACKETS.map(([source, what], i) => [source, what, arrived.has(sent[i]?.identity ?? 0)]);
}

test('without a firewall all are let in', async () => {
  expect((await judged()).every(([, , isLetIn]) => isLetIn)).toBe(true);
});

test('ufw, as written', async () => {
  await machine.exec(['bash', '-euc', block('sh ufw')]);
  expect(await judged()).toEqual(PACKETS);
  await machine.exec(['ufw', '--force', 'disable']);
  await machine.exec(['nft', 'delete', 'table', 'ip', 'filter']);
  await machine.exec(['nft', 'delete', 'table', 'ip6', 'filter']);
});

test('firewalld, as written', async () => {
  await machine.exec(['systemctl', 'start', 'firewalld.service']);
  await machine.exec(['bash', '-euc', block('sh firewalld')]);
  expect(await judged()).toEqual(PACKETS);
  await machine.exec(['systemctl', 'stop', 'firewalld.service']);
  expect((await judged()).every(([, , isLetIn]) => isLetIn)).toBe(true);
});

test('secgroupd, as written', async () => {
  machine.write('/etc/hostname', 'web-1\n');
  await machine.exec(['hostname', 'web-1']);
  await machine.exec([
    'bash',
    '-euc',
    `mkdir -p /etc/secgroupd; cat >/etc/secgroupd/policy.yaml <<'END'\n${block('yaml')}END`,
  ]);
  await machine.exec([`${PROJECT_INSIDE}/scripts/install.sh`]);
  await until('it is in force', async () =>
    / active$/m.test((await machine.exec(['sgctl', 'status'], { reject: false })).stdout),
  );
  expect(await judged()).toEqual(PACKETS);
});
