import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openPortsOf } from './harness-daemon/open-ports.ts';
import { type Site, useSite } from './harness-daemon/site.ts';

const POLICY = `version: 1
securityGroups:
  strict: { inbound: [{ protocol: tcp, ports: 80, source: any }] }
  lax: { inbound: [{ protocol: tcp, source: any }] }
instances:
  web-1: { interfaces: { eth0: { securityGroups: [strict] } } }
  lab-box: { interfaces: { eth0: { securityGroups: [lax] } } }
`;

let site: Site;

useSite((made) => {
  site = made;
});
const openPorts = openPortsOf(() => site);

/** Has the daemon look at the host, as any change of its interfaces does. */
async function stir(): Promise<void> {
  await site.world.exec(site.world.host, ['ip', 'address', 'add', '10.99.0.1/32', 'dev', 'eth0']);
}

test('a host whose name becomes that of a more open instance stays what it is until a reload, and says so', async () => {
  writeFileSync(site.policyFile, POLICY);
  const wrapper = ['unshare', '--uts', 'bash', '-c', 'hostname web-1 && exec "$@"', 'bash'];
  const daemon = await site.start({ instance: null, wrapper });
  expect(await openPorts.among([80, 81])).toEqual([80]);
  execFileSync('nsenter', ['--uts', '--target', String(daemon.pid), 'hostname', 'lab-box']);
  await stir();
  const told = await daemon.until('it is told', ({ troubles }) => troubles.length > 0);
  expect(told).toMatchObject({
    instance: 'web-1',
    state: 'enforced',
    troubles: [{ message: expect.stringContaining('would be the instance `lab-box`; it stays `web-1`') }],
  });
  expect(daemon.log.filter(({ level, msg }) => level === 40 && msg.includes('it stays `web-1`'))).toHaveLength(1);
  expect((await site.sgctl('status')).stdout).toMatch(/^trouble +the host name is `lab-box` now/m);
  expect(await openPorts.among([80, 81])).toEqual([80]);
  expect(await daemon.reload()).toMatchObject({ instance: 'lab-box', troubles: [] });
  expect(await openPorts.among([80, 81])).toEqual([80, 81]);
});
