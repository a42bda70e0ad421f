import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, raiseLab } from '../lab/lab.ts';
import { until } from '../netns/harness-daemon/until.ts';
import { earlyService } from '../systemd/machine/early-service.ts';

const SSH = 22;
const DENIED = 81;
const INTERFACES = readFileSync(new URL('interfaces.py', import.meta.url), 'utf8');
const SCENARIOS = fileURLToPath(new URL('../../vagrant/scenarios/', import.meta.url));
const PROBES = readFileSync(new URL('../systemd/machine/probes.py', import.meta.url), 'utf8');

/** pc may log in to web, and nothing else. */
const POLICY = 'scenarios/1-pc-logs-in.yaml';

let lab: Lab;

beforeAll(async () => {
  lab = await raiseLab('vms');
});
afterAll(async () => {
  await lab?.down();
});

async function sh(host: string, script: string, input = ''): Promise<string> {
  return (await lab.on(host, ['sh', '-euc', script], { input })).stdout;
}

/** Whether all that starts by itself has started on web, the daemon too if it does. */
async function isReady(): Promise<boolean> {
  const asked = ['systemctl is-system-running', 'sgctl status', 'systemctl is-enabled secgroupd.service'];
  const { stdout } = await lab.on('web', ['sh', '-c', asked.join(';')], { reject: false });
  return /^(?:running|degraded)$/m.test(stdout) && /: active$|^disabled$/m.test(stdout);
}

/**
 * Takes web's power and gives it back, while pc tries to connect to both ports; returns which ever answered, how often
 * each was tried, and the seconds from power on to ready.
 */
async function bootUnderProbes(): Promise<{ answered: readonly number[]; tries: number; seconds: number }> {
  await lab.command('off', 'web');
  const probes = lab.begin('pc', ['python3', '-B', '/root/probes.py', '192.0.2.10', String(SSH), String(DENIED)]);
  let said = '';
  probes.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const began = performance.now();
  await lab.command('on', 'web');
  await until('web is ready', isReady, { within: 280_000 });
  const seconds = (performance.now() - began) / 1_000;
  await wait(2_000);
  probes.stdin?.end();
  await once(probes, 'close');
  return { ...(JSON.parse(said) as { answered: readonly number[]; tries: number }), seconds };
}

/** In the notes of a run. */
function report(what: string, figures: object): void {
  process.stderr.write(`${what}: ${JSON.stringify(figures)}\n`);
}

test('their kernel is Debian’s, and loads what ours asks for by itself', async () => {
  const kernel = await sh('web', 'uname -r');
  expect(kernel).not.toBe(release());
  expect(await sh('web', 'lsmod | cut -d" " -f1')).toMatch(
    /^nf_tables$[^]*^nf_conntrack$|^nf_conntrack$[^]*^nf_tables$/m,
  );
  expect(await sh('pc', 'lsmod')).not.toContain('nf_tables');
});

test('who reaches whom is as sgctl explain says, in every scenario', async () => {
  const { exitCode, stdout, stderr } = await lab.command('matrix', '--all');
  expect(stderr).toBe('');
  expect(stdout.split('\n').at(-1)).toBe(`${readdirSync(SCENARIOS).length * 48} tried, 0 not as explained`);
  expect(exitCode).toBe(0);
});

test('memory, and how long from start to enforced', async () => {
  for (const host of ['web', 'db', 'bastion']) {
    const shown = await sh(
      host,
      `systemctl show secgroupd -P ExecMainStartTimestampMonotonic -P ActiveEnterTimestampMonotonic
      systemctl restart secgroupd
      systemctl show secgroupd -P ExecMainStartTimestampMonotonic -P ActiveEnterTimestampMonotonic
      sleep 10
      awk '/^(Rss|Pss):/ { print $2 }' /proc/$(systemctl show -P MainPID secgroupd)/smaps_rollup`,
    );
    const [start = 0, enforced = 0, startAgain = 0, enforcedAgain = 0, rss = 0, pss = 0] = shown
      .split('\n')
      .map(Number);
    expect(enforced).toBeGreaterThan(start);
    report(host, {
      secondsFromStartToEnforcedAtBoot: (enforced - start) / 1e6,
      secondsWhenRestarted: (enforcedAgain - startAgain) / 1e6,
      residentMegabytes: rss / 1024,
      proportionalMegabytes: pss / 1024,
    });
  }
});

test('a member of a VRF is judged by its own name from its first packet, or as its VRF', async () => {
  await sh('web', 'cat >/root/interfaces.py', INTERFACES);
  // Of each: the ports that the peer reaches, and those that the host does, each by both families.
  expect((await sh('web', 'python3 -B /root/interfaces.py')).split('\n')).toEqual([
    'alone: 80 80 | 8080 8080',
    'while it is put into a VRF: 80',
    'named, in a VRF that is not: 80 80 | 8080 8080',
    'verified: the kernel does what the policy says',
    'notes: ',
    'the same, all else denied: 80 80 | 8080 8080',
    'by a glob, all else denied: 80 80 | 8080 8080',
    'neither named, all else denied:  | ',
    'neither named: 22 22 80 80 | 8080 8080 8081 8081',
    'both named: 80 80 | 8080 8080',
    'the VRF named: 80 80 | 8080 8080',
    'while it leaves the VRF: 80',
    'alone again: 80 80 | 8080 8080',
  ]);
}, 600_000);

test('from power on to ready a denied port is never reached, and ssh comes up', async () => {
  const policy = fileURLToPath(new URL(`../../vagrant/${POLICY}`, import.meta.url));
  await lab.command('policy', policy);
  await until('it is in force', async () => /198\.51\.100\.10/.test(await sh('web', 'nft list table inet secgroupd')), {
    within: 60_000,
  });
  await sh(
    'web',
    'cat >/etc/systemd/system/early.service; systemctl -q enable --now early.service; sync',
    earlyService(DENIED),
  );
  await sh('pc', 'cat >/root/probes.py', PROBES);
  // What is there for a moment only is not missed for want of an address.
  const mac = await sh('web', 'cat /sys/class/net/eth1/address');
  await sh('pc', `ip neighbour replace 192.0.2.10 lladdr ${mac} dev eth1 nud permanent`);

  for (let boot = 1; boot <= 3; boot += 1) {
    const { answered, tries, seconds } = await bootUnderProbes();
    report(`boot ${boot}`, { answered, tries, seconds });
    expect(answered).toEqual([SSH]);
    expect(tries).toBeGreaterThan(100);
  }
  const times = await sh(
    'web',
    'for unit in secgroupd-boot.service network-pre.target lab-network.service ssh.service secgroupd.service; do systemctl show $unit -P ActiveEnterTimestampMonotonic; done',
  );
  const [rules = 0, network = 0, link = 0, sshd = 0, daemon = 0] = times.split('\n').map(Number);
  report('seconds of the kernel until active', {
    ...{ boot: rules / 1e6, networkPre: network / 1e6, network: link / 1e6, sshd: sshd / 1e6, daemon: daemon / 1e6 },
  });
  expect(rules).toBeGreaterThan(0);
  for (const later of [network, link, sshd, daemon]) expect(later).toBeGreaterThan(rules);
});

test('nor where nothing was in force before', async () => {
  await sh('web', 'systemctl stop secgroupd; rm -rf /var/lib/secgroupd; sync');
  const { answered, tries, seconds } = await bootUnderProbes();
  report('boot without state', { answered, tries, seconds });
  expect(answered).toEqual([SSH]);
});

test('and without these units it is reached: the test can fail', async () => {
  await sh('web', 'systemctl -q disable secgroupd.service secgroupd-boot.service; sync');
  const { answered } = await bootUnderProbes();
  expect(answered).toEqual([SSH, DENIED]);
});
