import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startFlood } from './harness-daemon/flood.ts';
import { replaceFile, type Site, useSite } from './harness-daemon/site.ts';

const ALLOWED = 80;
const DENIED = 81;

/** How often the daemon is killed. */
const KILLS = Number(process.env['SECGROUPD_KILLS'] ?? 8);

/** A change of rules is in force about so many milliseconds after it was saved. */
const LONGEST_LIFE = 160;

/** After so many of them the kernel is compared with the policy, class of packets by class. */
const VERIFY_EVERY = KILLS > 100 ? 10 : 1;

let site: Site;

useSite((made) => {
  site = made;
});

/** The `round`th policy: what is allowed and what is denied to the flood is the same in all, and the rest is not. */
function policy(round: number): string {
  const addresses = Array.from({ length: 300 }, (_, i) => `10.${round % 200}.${i % 250}.${(i * 7) % 250}`);
  const members = round % 3 === 0 ? ['192.0.2.77'] : ['192.0.2.77', `192.0.2.${78 + (round % 100)}`];
  const rules = Array.from(
    { length: 40 },
    (_, i) =>
      `      - { protocol: udp, ports: ${2_000 + i + (round % 2 === 0 ? 0 : round)}, source: { addressGroup: many } }`,
  );
  return `version: 1
addressGroups:
  many: { addresses: [${[...new Set(addresses)].join(', ')}] }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: ${ALLOWED}, source: any }
      - { protocol: udp, ports: 53, source: { securityGroup: friends } }
${rules.join('\n')}
    outbound:
      - { destination: any }
  friends: {}
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
${members.map((address, i) => `  friend-${i}: { interfaces: { eth0: { addresses: [${address}], securityGroups: [friends] } } }`).join('\n')}
`;
}

test(`a daemon killed at ${KILLS} random moments of changes under traffic: no open moment, no packet lost, and the next one has the policy in force`, {
  timeout: 60_000 + KILLS * 5_000,
}, async () => {
  const packet = (destinationPort: number) => ({
    ...{ source: '203.0.113.9', destination: '10.77.0.1', protocol: 6, sourcePort: 4_000 },
    ...{ destinationPort, identity: 1 },
  });
  replaceFile(site.policyFile, policy(0));
  let daemon = await site.start();
  const flood = await startFlood(site.world, {
    interface: 'eth0',
    allowed: [packet(ALLOWED)],
    forbidden: [packet(DENIED)],
    rate: 4_000,
    mostSeconds: 60 + KILLS * 5,
  });
  let applied = 0;
  for (let round = 1; round <= KILLS; round += 1) {
    replaceFile(site.policyFile, policy(round));
    await wait(Math.random() * LONGEST_LIFE);
    daemon.signal('SIGKILL');
    await daemon.ended;
    if (daemon.log.some(({ msg }) => msg === 'policy in force' || msg === 'members changed')) applied += 1;
    if (round % 4 === 0) {
      // And one that is killed as it starts.
      const short = site.spawn();
      await wait(Math.random() * 700);
      short.signal('SIGKILL');
      await short.ended;
    }
    daemon = await site.start();
    if (round % VERIFY_EVERY === 0)
      expect(await site.sgctl('verify', site.policyFile, '--instance', 'host')).toMatchObject({ exitCode: 0 });
  }
  const { entered, lost, leaked } = await flood.stop();
  // Under stress conntrack drops packets for which it finds no memory, before any rule is asked.
  const { stdout: conntrack } = await site.world.exec(site.world.host, ['conntrack', '--stats']);
  const stressed = [...conntrack.matchAll(/\bdrop=([0-9]+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  expect({ lost: lost - Math.min(lost, stressed), leaked, conntrack }).toMatchObject({ lost: 0, leaked: 0 });
  expect(entered.allowed).toBeGreaterThan(KILLS * 100);
  expect(await site.sgctl('verify', site.policyFile, '--instance', 'host')).toMatchObject({ exitCode: 0 });
  console.log(
    `killed ${KILLS} times (${applied} amid or after a change): of ${entered.allowed} allowed packets ${lost} were lost (conntrack found no memory for ${stressed}), of ${entered.forbidden} forbidden ones ${leaked} came in`,
  );
});
