import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { earlyService } from './machine/early-service.ts';
import { createMachine, type Machine, PROJECT_INSIDE } from './machine/machine.ts';
import { startProbes } from './machine/probes.ts';

const SSH = 22;
const DENIED = 81;

let machine: Machine;

beforeAll(async () => {
  machine = await createMachine();
  machine.write('/etc/systemd/system/early.service', earlyService(DENIED));
  await machine.powerOn();
  await machine.booted();
  await machine.exec([`${PROJECT_INSIDE}/scripts/run.sh`]);
  await machine.exec(['systemctl', '--quiet', 'enable', 'early.service', 'ssh.service']);
  await machine.shutDown();
});

afterEach(async () => {
  await machine.powerOff();
});

afterAll(async () => {
  await machine?.remove();
});

/** When units were first active, in microseconds of the machine. */
async function activeSince(...units: readonly string[]): Promise<readonly number[]> {
  const shown = await Promise.all(units.map((unit) => machine.show(unit, 'ActiveEnterTimestampMonotonic')));
  return shown.map(({ ActiveEnterTimestampMonotonic }) => Number(ActiveEnterTimestampMonotonic));
}

/** Boots under probes of both ports from outside; returns which of them were ever answered. */
async function bootUnderProbes(): Promise<readonly number[]> {
  const probes = await startProbes(machine.world, 'eth0', [SSH, DENIED]);
  await machine.powerOn();
  await machine.booted();
  await wait(500);
  return (await probes.stop()).answered;
}

describe('the machine boots', () => {
  test('with the rules last in force, before the network and before sshd; no moment is open', async () => {
    expect(await bootUnderProbes()).toEqual([SSH]);
    const boot = await machine.show('secgroupd-boot.service', 'Result', 'ActiveState');
    expect(boot).toEqual({ Result: 'success', ActiveState: 'active' });
    const [rules = 0, network = 0, sshd = 0, daemon = 0] = await activeSince(
      'secgroupd-boot.service',
      'network-pre.target',
      'ssh.service',
      'secgroupd.service',
    );
    expect(rules).toBeGreaterThan(0);
    for (const later of [network, sshd, daemon]) expect(later).toBeGreaterThan(rules);
    const { stdout } = await machine.exec(['journalctl', '--unit=secgroupd-boot', '--output=cat']);
    expect(stdout).toContain('the rules last in force are in force');
    expect((await machine.exec(['journalctl', '--boot', '--output=cat'])).stdout).not.toContain('ordering cycle');
    expect(await machine.exec(['sgctl', 'verify'])).toMatchObject({ exitCode: 0 });
    await machine.shutDown();
  });

  test('and without these units the early service would be reached: the test can fail', async () => {
    await machine.powerOn();
    await machine.booted();
    await machine.exec(['systemctl', '--quiet', 'disable', 'secgroupd.service', 'secgroupd-boot.service']);
    await machine.shutDown();
    expect(await bootUnderProbes()).toEqual([SSH, DENIED]);
    await machine.exec(['systemctl', '--quiet', 'enable', 'secgroupd.service']);
    expect((await machine.exec(['systemctl', 'is-enabled', 'secgroupd-boot.service'])).stdout).toBe('enabled');
    await machine.shutDown();
  });

  test.each([
    [
      'the daemon does not start',
      'mv /usr/local/bin/secgroupd /usr/local/bin/secgroupd.away',
      'mv /usr/local/bin/secgroupd.away /usr/local/bin/secgroupd',
    ],
    ['the last good rules are garbage', 'head -c 4000 /dev/urandom >/var/lib/secgroupd/last-good.nft', 'true'],
    ['the state directory is gone', 'rm -rf /var/lib/secgroupd', 'true'],
    ['the policy is gone', 'mv /etc/secgroupd/policy.yaml /root/', 'mv /root/policy.yaml /etc/secgroupd/'],
    [
      'the policy has mistakes',
      'echo nonsense >>/etc/secgroupd/policy.yaml',
      'sed -i "/^nonsense/d" /etc/secgroupd/policy.yaml',
    ],
  ])('where %s: ssh is reached, and nothing else', async (_, spoil, mend) => {
    await machine.powerOn();
    await machine.booted();
    await machine.exec(['systemctl', 'stop', 'secgroupd.service']);
    await machine.exec(['sh', '-c', spoil]);
    await machine.shutDown();
    expect(await bootUnderProbes()).toEqual([SSH]);
    await machine.exec(['sh', '-c', mend]);
    await machine.exec(['systemctl', 'restart', 'secgroupd.service']);
    expect(await machine.exec(['sgctl', 'verify'])).toMatchObject({ exitCode: 0 });
    await machine.shutDown();
  });

  test('where power fails at any moment of it, and boots the next time', async () => {
    for (const milliseconds of [200, 600, 1_200]) {
      await machine.powerOn();
      await wait(milliseconds);
      await machine.powerOff();
    }
    expect(await bootUnderProbes()).toEqual([SSH]);
    await machine.shutDown();
  });
});
