import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendInbound } from '../netns/harness/probe.ts';
import { until } from '../netns/harness-daemon/until.ts';
import { createMachine, type Machine, PROJECT_INSIDE } from './machine/machine.ts';

const SSH = 22;
const WEB = 80;
const DENIED = 81;
/** Of an sshd that is told it by its command line, and not by its file. */
const OTHER_SSH = 2_222;

const POLICY = '/etc/secgroupd/policy.yaml';
const SERVICE = 'secgroupd.service';

let machine: Machine;
let identity = 0;

beforeAll(async () => {
  machine = await createMachine();
  await machine.powerOn();
  await machine.booted();
  await machine.exec([`${PROJECT_INSIDE}/scripts/run.sh`]);
});

afterAll(async () => {
  await machine?.remove();
});

/** Which of these TCP ports a stranger reaches. */
async function open(ports: readonly number[] = [SSH, WEB, DENIED]): Promise<readonly number[]> {
  const sent = ports.map((destinationPort) => {
    identity += 1;
    const ends = { source: '203.0.113.9', destination: '10.77.0.1', sourcePort: 1_024 + identity };
    return { ...ends, protocol: 6, destinationPort, identity };
  });
  const arrived = await sendInbound(machine.world, 'eth0', sent);
  return sent.filter((one) => arrived.has(one.identity)).map(({ destinationPort }) => destinationPort);
}

async function table(): Promise<string> {
  const { stdout } = await machine.world.exec(machine.world.host, ['nft', '-a', 'list', 'chains']);
  return stdout;
}

async function state(): Promise<string> {
  const { stdout } = await machine.exec(['sgctl', 'status', '--json'], { reject: false });
  return stdout === '' ? 'no daemon' : (JSON.parse(stdout) as { state: string }).state;
}

async function mainPid(): Promise<number> {
  return Number((await machine.show(SERVICE, 'MainPID')).MainPID);
}

/** Puts `text` in place of the policy as an editor does. */
async function save(text: string): Promise<void> {
  await machine.exec(['sh', '-c', `cat >${POLICY}.new <<'END'\n${text}\nEND\nmv ${POLICY}.new ${POLICY}`]);
}

describe('the service, as scripts/run.sh installs it', () => {
  test('runs hardened, without root, and applies', async () => {
    const shown = await machine.show(SERVICE, 'ActiveState', 'Type', 'NRestarts', 'StatusText', 'User');
    expect(shown).toMatchObject({ ActiveState: 'active', Type: 'notify', NRestarts: '0', User: 'secgroupd' });
    expect(shown.StatusText).toMatch(/in force/);
    const { stdout } = await machine.exec(['cat', `/proc/${await mainPid()}/status`]);
    const NET_ADMIN = '0000000000001000';
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      expect(stdout).toMatch(new RegExp(`^${set}:\\s${NET_ADMIN}$`, 'm'));
    expect(stdout).toMatch(/^NoNewPrivs:\s1$/m);
    expect(stdout).toMatch(/^Seccomp:\s2$/m);
    expect(stdout).not.toMatch(/^Uid:\s0\s/m);
    // What it is not to write, it cannot.
    const writes = await machine.exec(
      ['nsenter', '--target', String(await mainPid()), '--mount', 'touch', '/etc/secgroupd/written', '/usr/written'],
      { reject: false },
    );
    expect(writes.stderr).toMatch(/Read-only file system[^]*Read-only file system/);
    expect(await open()).toEqual([SSH]);
    expect(await machine.exec(['sgctl', 'verify'])).toMatchObject({ exitCode: 0 });
  });

  test('starts without a warning, and listens to its interfaces and files', async () => {
    const journal = async (...words: readonly string[]): Promise<string> =>
      (await machine.exec(['journalctl', '--unit', SERVICE, '--identifier=secgroupd', ...words], { reject: false }))
        .stdout;
    expect(await journal('--priority=warning')).toBe('-- No entries --');
    expect(await journal('--output=cat', '--priority=info')).toMatch(/^policy in force (?:already )?\(version \d+, /m);
    const { stdout: children } = await machine.exec(['pgrep', '--parent', String(await mainPid()), '--list-full']);
    expect(children).toMatch(/ip .*monitor link address/);
    expect(children).toMatch(/inotifywait --monitor .*\/etc\/secgroupd\//);
  });

  test('lets its groups in: one may do everything, one may look, and others neither', async () => {
    for (const [name, ...groups] of [['ann', '--groups=secgroupd'], ['joe', '--groups=secgroupd-read'], ['eve']])
      await machine.exec(['useradd', '--no-create-home', ...groups, String(name)]);
    const lookAndChange = async (user: string): Promise<readonly number[]> => {
      const exits = [];
      for (const words of [['status'], ['stats'], ['clear', '--yes']])
        exits.push((await machine.exec(['runuser', '-u', user, '--', 'sgctl', ...words], { reject: false })).exitCode);
      return exits;
    };
    const before = await table();
    // Who may ask for more is told that there is nothing to confirm.
    const { stderr: answered } = await machine.exec(['runuser', '-u', 'ann', '--', 'sgctl', 'confirm'], {
      reject: false,
    });
    expect(answered).toContain('no policy is on trial');
    expect(await lookAndChange('joe')).toEqual([0, 0, 3]);
    expect(await lookAndChange('eve')).toEqual([3, 3, 3]);
    expect(await table()).toBe(before);
    // Where the kernel does not let the daemon give the socket away, it says so.
    const dropIn = '/run/systemd/system/secgroupd.service.d';
    await machine.exec([
      'sh',
      '-c',
      `mkdir -p ${dropIn} && printf '[Service]\\nSystemCallFilter=~chown fchownat\\n' >${dropIn}/chown.conf`,
    ]);
    await machine.exec(['systemctl', 'daemon-reload']);
    await machine.exec(['systemctl', 'restart', SERVICE]);
    expect(await lookAndChange('joe')).toEqual([3, 3, 3]);
    expect(
      (await machine.exec(['journalctl', '--unit', SERVICE, '--grep', 'cannot be given its socket'])).stdout,
    ).toMatch(/EPERM[^\n]*group secgroupd-read/);
    await machine.exec(['rm', '-r', dropIn]);
    await machine.exec(['systemctl', 'daemon-reload']);
    await machine.exec(['systemctl', 'restart', SERVICE]);
    expect(await lookAndChange('joe')).toEqual([0, 0, 3]);
  });

  test('is exposed as little in the machine as it is on paper', async () => {
    for (const [unit, threshold] of [
      [SERVICE, 15],
      ['secgroupd-boot.service', 25],
    ]) {
      const analysis = ['systemd-analyze', 'security', `--threshold=${threshold}`, '--no-pager', String(unit)];
      expect((await machine.exec(analysis)).exitCode).toBe(0);
    }
  });

  test('applies what is saved, and refuses what is wrong', async () => {
    const { stdout: before } = await machine.exec(['cat', POLICY]);
    await save(before.replace('ports: 22\n', 'ports: "22,80"\n'));
    await until('port 80 is open', async () => (await open()).includes(WEB));
    const inForce = await table();
    await save(before.replace('ports: 22\n', 'ports: 2222222\n'));
    await until('it is refused', async () =>
      /policy refused/.test((await machine.show(SERVICE, 'StatusText')).StatusText),
    );
    expect(await table()).toBe(inForce);
    expect(await open()).toEqual([SSH, WEB]);
    await save(before);
    await until('port 80 is shut', async () => !(await open()).includes(WEB));
  });

  test('waits until a writer closes a file', async () => {
    const { stdout: before } = await machine.exec(['cat', POLICY]);
    const text = before.replace('ports: 22\n', 'ports: "22,80"\n');
    await machine.exec(['sh', '-c', `cat >/root/policy.yaml <<'END'\n${text}\nEND`]);
    const writing = machine.exec(['sh', '-c', `(cat /root/policy.yaml; sleep 4) >${POLICY}`]);
    await until('it is waited for', async () => {
      const { stdout } = await machine.exec(['sgctl', 'status']);
      return stdout.includes(`waiting for ${POLICY}: its writer has not closed it`);
    });
    expect(await open()).toEqual([SSH]);
    await writing;
    await until('port 80 is open', async () => (await open()).includes(WEB));
    await save(before);
    await until('port 80 is shut', async () => !(await open()).includes(WEB));
  });

  test.each(['SIGKILL', 'SIGSEGV', 'SIGTERM'])(
    'comes back after %s, and not a rule has changed meanwhile',
    async (signal) => {
      const before = await table();
      const pid = await mainPid();
      await machine.exec(['kill', `-${signal}`, String(pid)]);
      await until('another runs', async () => ![0, pid].includes(await mainPid()), { within: 20_000 });
      expect(await open()).toEqual([SSH]);
      await until('it is ready', async () => (await state()) === 'enforced', { within: 20_000 });
      expect(await table()).toBe(before);
    },
  );

  test('is killed by the watchdog when it hangs, comes back, and not a rule has changed meanwhile', async () => {
    const dropIn = '/run/systemd/system/secgroupd.service.d';
    await machine.exec([
      'sh',
      '-c',
      `mkdir -p ${dropIn} && printf '[Service]\\nWatchdogSec=3s\\n' >${dropIn}/watchdog.conf`,
    ]);
    await machine.exec(['systemctl', 'daemon-reload']);
    await machine.exec(['systemctl', 'restart', SERVICE]);
    const before = await table();
    const pid = await mainPid();
    const restarts = Number((await machine.show(SERVICE, 'NRestarts')).NRestarts);
    await machine.exec(['kill', '-STOP', String(pid)]);
    await until(
      'another runs',
      async () => Number((await machine.show(SERVICE, 'NRestarts')).NRestarts) > restarts && (await mainPid()) !== 0,
      { within: 30_000 },
    );
    expect(await mainPid()).not.toBe(pid);
    await until('it is ready', async () => (await state()) === 'enforced', { within: 20_000 });
    expect(await table()).toBe(before);
    expect(await open()).toEqual([SSH]);
    // One that does not hang lives on.
    const alive = await mainPid();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect(await mainPid()).toBe(alive);
    await machine.exec(['rm', '-r', dropIn]);
    await machine.exec(['systemctl', 'daemon-reload']);
  });

  test('leaves the rules in force when it is stopped, and starts without touching them', async () => {
    const before = await table();
    await machine.exec(['systemctl', 'stop', SERVICE]);
    expect(await state()).toBe('no daemon');
    expect(await table()).toBe(before);
    expect(await open()).toEqual([SSH]);
    await machine.exec(['systemctl', 'start', SERVICE]);
    expect(await state()).toBe('enforced');
    expect(await table()).toBe(before);
  });

  test('reloads by systemctl', async () => {
    const before = await table();
    await machine.exec(['systemctl', 'reload', SERVICE]);
    // All of it is made anew, a moment after the daemon was told.
    await until('it has reloaded', async () => (await table()) !== before);
    await until('what was before is gone', async () => {
      const there = await table();
      await new Promise((resolve) => setTimeout(resolve, 300));
      return (await table()) === there;
    });
    expect(await open()).toEqual([SSH]);
  });

  test('is updated by run.sh under the rules that are in force, the policy untouched', async () => {
    const before = await table();
    const { stdout: policy } = await machine.exec(['cat', POLICY]);
    const pid = await mainPid();
    await machine.exec([`${PROJECT_INSIDE}/scripts/run.sh`]);
    expect(await mainPid()).not.toBe(pid);
    expect(await table()).toBe(before);
    expect((await machine.exec(['cat', POLICY])).stdout).toBe(policy);
  });

  test('is taken away by uninstall.sh: the rules stay, and the policy; --purge leaves nothing', async () => {
    const before = await table();
    const { stdout: policy } = await machine.exec(['cat', POLICY]);
    const { stdout: told } = await machine.exec([`${PROJECT_INSIDE}/scripts/uninstall.sh`]);
    expect(told).toContain('its rules stay in force until the machine restarts');
    expect(await table()).toBe(before);
    expect(await open()).toEqual([SSH]);
    expect(await left('/usr/local', '/etc/systemd')).toBe('');
    expect((await machine.exec(['cat', POLICY])).stdout).toBe(policy);
    await machine.exec([`${PROJECT_INSIDE}/scripts/uninstall.sh`, '--purge']);
    expect(await open()).toEqual([SSH, WEB, DENIED]);
    expect(await left('/')).toBe('');
    expect(await machine.exec(['getent', 'group', 'secgroupd', 'secgroupd-read'], { reject: false })).toMatchObject({
      stdout: '',
    });
  });
});

describe('install.sh, where packages are installed by', () => {
  test.each([
    ['dnf', '--quiet --assumeyes install nftables iproute'],
    ['zypper', '--quiet --non-interactive install --no-recommends nftables iproute2'],
    ['pacman', '--sync --needed --noconfirm nftables iproute2'],
  ])('%s', async (manager, words) => {
    // A Debian without apt, and without what it is to install; its manager brings that back.
    await machine.exec(['mv', '/usr/bin/apt-get', '/usr/sbin/nft', '/usr/bin/ip', '/root/']);
    await machine.exec([
      'sh',
      '-c',
      `printf '#!/bin/sh\necho "$*" >/root/asked\nmv /root/nft /usr/sbin/\nmv /root/ip /usr/bin/\n' >/usr/bin/${manager} && chmod 755 /usr/bin/${manager}`,
    ]);
    const { stdout } = await machine.exec([`${PROJECT_INSIDE}/scripts/install.sh`]);
    await machine.exec(['mv', '/root/apt-get', '/usr/bin/']);
    await machine.exec(['rm', `/usr/bin/${manager}`]);
    expect((await machine.exec(['cat', '/root/asked'])).stdout).toBe(words);
    expect(stdout).toContain('secgroupd is running');
    expect(await open()).toEqual([SSH]);
    await machine.exec([`${PROJECT_INSIDE}/scripts/uninstall.sh`, '--purge']);
    expect(await open()).toEqual([SSH, WEB, DENIED]);
  });

  test('what is there, ssh stays open wherever sshd listens, and the rest is shut', async () => {
    const ports = [SSH, OTHER_SSH, DENIED];
    await machine.exec(['systemd-run', '--quiet', '--unit=other-sshd', '/usr/sbin/sshd', '-D', '-p', `${OTHER_SSH}`]);
    const listens = async () => new RegExp(`:${OTHER_SSH} `).test((await machine.exec(['ss', '-Hltn'])).stdout);
    await until('it listens', listens);
    expect(await open(ports)).toEqual(ports);
    await machine.exec([`${PROJECT_INSIDE}/scripts/install.sh`]);
    expect(await open(ports)).toEqual([SSH, OTHER_SSH]);
    expect((await machine.exec(['cat', POLICY])).stdout).toMatch(/^ +ports: "22,2222"$/m);
    expect((await machine.exec(['cat', '/etc/secgroupd/boot.conf'])).stdout).toMatch(/^SSH_PORTS=22,2222$/m);

    // A policy that is there is its owner's.
    await save((await machine.exec(['cat', POLICY])).stdout.replaceAll('"22,2222"', '22'));
    await until('the port is shut', async () => (await open(ports)).length === 1);
    await machine.exec([`${PROJECT_INSIDE}/scripts/install.sh`]);
    expect(await open(ports)).toEqual([SSH]);
    await machine.exec(['systemctl', 'stop', 'other-sshd.service']);
    await machine.exec([`${PROJECT_INSIDE}/scripts/uninstall.sh`, '--purge']);
  });

  test('nothing that it knows, it says what is missing, and changes nothing', async () => {
    await machine.exec(['mv', '/usr/bin/apt-get', '/usr/sbin/nft', '/root/']);
    const { exitCode, stderr } = await machine.exec([`${PROJECT_INSIDE}/scripts/install.sh`], { reject: false });
    await machine.exec(['mv', '/root/apt-get', '/usr/bin/']);
    await machine.exec(['mv', '/root/nft', '/usr/sbin/']);
    expect(exitCode).toBe(3);
    expect(stderr).toContain("missing: nftables (Debian's names); there is no apt, dnf, zypper or pacman here");
    expect(await left('/usr/local', '/etc')).toBe('');
  });
});

/** What there is by the project's name. */
async function left(...folders: readonly string[]): Promise<string> {
  const elsewhere = [PROJECT_INSIDE, '/proc', '/sys', '/tmp', '/var/tmp', '/var/log', '/run/log'].flatMap((path) => [
    '-not',
    '-path',
    `${path}/*`,
  ]);
  return (await machine.exec(['find', ...folders, '-xdev', '-name', '*secgroupd*', ...elsewhere])).stdout;
}
