import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../netns/harness-daemon/until.ts';
import { createMachine, type Machine, PROJECT_INSIDE } from './machine/machine.ts';
import { startProbes } from './machine/probes.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BUILD = join(ROOT, 'scripts/deb.sh');
const { version: VERSION } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly version: string;
};
const SSH = 22;
const WEB = 80;
/** On which sshd listens beside 22. */
const OTHER_SSH = 2_222;
const SCHEMA = '# yaml-language-server: $schema=/usr/share/secgroupd/policy.schema.json';

const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';

const POLICY = '/etc/secgroupd/policy.yaml';

const FOLDER = mkdtempSync(join(tmpdir(), 'secgroupd-deb-'));

/** Builds the package; returns where it is. */
function build(revision: number, architecture = ARCHITECTURE, into = FOLDER): string {
  const words = ['--quick', '--revision', String(revision), '--arch', architecture, '--into', into];
  execFileSync(BUILD, words, { cwd: ROOT, stdio: 'pipe' });
  return join(into, `secgroupd_${VERSION}-${revision}_${architecture}.deb`);
}

let packages: readonly string[];

beforeAll(() => {
  packages = [build(1), build(2)];
});

afterAll(() => {
  rmSync(FOLDER, { recursive: true });
});

describe.each(['bookworm', 'trixie'] as const)('the package in %s', (suite) => {
  let machine: Machine;

  beforeAll(async () => {
    machine = await createMachine(suite);
    for (const [i, file] of packages.entries()) {
      mkdirSync(machine.path('/root'), { recursive: true });
      copyFileSync(file, machine.path(`/root/${i + 1}.deb`));
    }
    machine.write('/etc/ssh/sshd_config.d/ports.conf', `Port ${SSH}\nPort ${OTHER_SSH}\n`);
    await machine.powerOn();
    await machine.booted();
    // Something that listens where the policy as shipped lets nobody in.
    await machine.exec([
      'sh',
      '-c',
      `systemd-run --quiet python3 -c "import socket; s=socket.socket(); s.bind(('', ${WEB})); s.listen(64); exec('while True: s.accept()[0].close()')"`,
    ]);
  }, 300_000);

  afterAll(async () => {
    await machine?.remove();
  });

  /** Which ports take a connection now. */
  async function open(): Promise<readonly number[]> {
    const probes = await startProbes(machine.world, 'eth0', [SSH, OTHER_SSH, WEB]);
    await new Promise((resolve) => setTimeout(resolve, 600));
    return (await probes.stop()).answered;
  }

  async function table(): Promise<string> {
    const { stdout } = await machine.exec(['nft', '-a', 'list', 'chains', 'inet']);
    return stdout.slice(Math.max(0, stdout.indexOf('table inet secgroupd')));
  }

  async function enforced(): Promise<void> {
    await until(
      'it is in force',
      async () =>
        /^state +enforced|in force/m.test((await machine.exec(['sgctl', 'status'], { reject: false })).stdout),
      { within: 20_000 },
    );
  }

  test('is neither started nor enabled where the policy that is there shuts a port of sshd; is purged though /etc/secgroupd is a mount', async () => {
    const shipped = readFileSync(join(ROOT, 'config/policy.yaml'), 'utf8');
    await machine.exec(['install', '-D', '-m', '644', `${PROJECT_INSIDE}/config/policy.yaml`, POLICY]);
    const { stderr } = await machine.exec(['dpkg', '--install', '/root/1.deb']);
    expect(stderr).toContain(`${POLICY} lets nobody in on port ${OTHER_SSH}`);
    expect(stderr).toContain('systemctl enable --now secgroupd');
    for (const unit of ['secgroupd.service', 'secgroupd-boot.service']) {
      const shown = await machine.show(unit, 'ActiveState', 'UnitFileState');
      expect(shown).toEqual({ ActiveState: 'inactive', UnitFileState: 'disabled' });
    }
    expect(await table()).not.toContain('secgroupd');
    expect((await machine.exec(['cat', POLICY])).stdout).toBe(shipped.trimEnd());
    expect((await machine.exec(['cat', '/etc/secgroupd/boot.conf'])).stdout).toMatch(/^SSH_PORTS=22,2222$/m);
    await machine.exec(['sed', '-i', `s/ports: 22$/ports: "${SSH},${OTHER_SSH}"/`, POLICY]);
    await machine.exec(['systemctl', 'enable', '--quiet', '--now', 'secgroupd.service']);
    await enforced();
    expect(await machine.show('secgroupd-boot.service', 'UnitFileState')).toEqual({ UnitFileState: 'enabled' });

    // What it says of its schema, editors find.
    const [first] = (await machine.exec(['sgctl', 'init', '-'])).stdout.split('\n');
    expect(first).toBe(SCHEMA);
    await machine.exec(['test', '-s', '/usr/share/secgroupd/policy.schema.json']);

    await machine.exec(['mount', '--bind', '/etc/secgroupd', '/etc/secgroupd']);
    await machine.exec(['dpkg', '--purge', 'secgroupd']);
    expect((await machine.exec(['ls', '-A', '/etc/secgroupd'])).stdout).toBe('');
    expect((await machine.exec(['getent', 'passwd', 'secgroupd'], { reject: false })).stdout).toBe('');
    expect((await machine.exec(['dpkg-query', '-W', 'secgroupd'], { reject: false })).exitCode).toBe(1);
    await machine.exec(['umount', '/etc/secgroupd']);
    await machine.exec(['rmdir', '/etc/secgroupd']);
  });

  test('is installed, and in force: ssh stays open on all its ports, the rest is shut', async () => {
    expect(await open()).toEqual([SSH, WEB, OTHER_SSH]);
    await machine.exec(['dpkg', '--install', '/root/1.deb']);
    await enforced();
    expect(await open()).toEqual([SSH, OTHER_SSH]);
    expect((await machine.exec(['cat', POLICY])).stdout.split('\n')[0]).toBe(SCHEMA);
    const shown = await machine.show('secgroupd.service', 'ActiveState', 'UnitFileState', 'NRestarts');
    expect(shown).toEqual({ ActiveState: 'active', UnitFileState: 'enabled', NRestarts: '0' });
    expect(await machine.show('secgroupd-boot.service', 'UnitFileState')).toEqual({ UnitFileState: 'enabled' });
    expect(
      (await machine.exec(['sh', '-c', 'tr "\\0" " " </proc/$(systemctl show -P MainPID secgroupd)/cmdline'])).stdout,
    ).toContain('/usr/lib/secgroupd/node');
    expect((await machine.exec(['sgctl', 'verify'])).exitCode).toBe(0);
    expect(
      (await machine.exec(['systemd-analyze', 'security', '--threshold=15', '--no-pager', 'secgroupd.service']))
        .exitCode,
    ).toBe(0);
    // Nothing of it was changed on the way; a machine of these has no documentation.
    const { stdout: differing } = await machine.exec(['dpkg', '--verify', 'secgroupd'], { reject: false });
    expect(differing.split('\n').filter((line) => !/^missing +\/usr\/share\/(?:doc|man)\//.test(line))).toEqual([]);
  });

  test('is in force again after a restart of the machine, at no moment open', async () => {
    await machine.shutDown();
    const probes = await startProbes(machine.world, 'eth0', [SSH, OTHER_SSH, WEB]);
    await machine.powerOn();
    await machine.booted();
    await enforced();
    expect((await probes.stop()).answered).toEqual([SSH, OTHER_SSH]);
    expect(await machine.show('secgroupd-boot.service', 'Result', 'ActiveState')).toEqual({
      Result: 'success',
      ActiveState: 'active',
    });
  });

  test('is upgraded under the rules in force; what was edited stays as it is', async () => {
    await machine.exec(['sh', '-c', `sed -i 's/ports: "22,2222"$/ports: "22,443,2222"/' ${POLICY}`]);
    await until('the edit is in force', async () =>
      /443/.test((await machine.exec(['nft', 'list', 'table', 'inet', 'secgroupd'])).stdout),
    );
    const before = await table();
    const { stdout: policy } = await machine.exec(['cat', POLICY]);
    const { MainPID: pid } = await machine.show('secgroupd.service', 'MainPID');
    await machine.exec(['dpkg', '--force-confdef', '--install', '/root/2.deb']);
    await enforced();
    expect(await table()).toBe(before);
    expect((await machine.exec(['cat', POLICY])).stdout).toBe(policy);
    expect((await machine.show('secgroupd.service', 'MainPID')).MainPID).not.toBe(pid);
    expect((await machine.exec(['dpkg-query', '-W', '-f=${Version}', 'secgroupd'])).stdout).toBe(`${VERSION}-2`);
  });

  test('is removed: the daemon ends, the rules stay until the machine restarts, and it says so', async () => {
    const before = await table();
    const { stderr } = await machine.exec(['dpkg', '--remove', 'secgroupd']);
    expect(stderr).toContain(
      'the rules stay in force until the machine restarts, or until: nft delete table inet secgroupd',
    );
    expect(await table()).toBe(before);
    expect(await machine.show('secgroupd.service', 'ActiveState')).toEqual({ ActiveState: 'inactive' });
    expect((await machine.exec(['cat', POLICY])).stdout).toContain('443');
    await machine.shutDown();
    await machine.powerOn();
    await machine.booted();
    expect(await table()).not.toContain('secgroupd');
  });

  test('is installed anew with the policy that was edited, and purged: nothing of it is left', async () => {
    await machine.exec(['dpkg', '--force-confdef', '--install', '/root/2.deb']);
    await enforced();
    expect((await machine.exec(['nft', 'list', 'table', 'inet', 'secgroupd'])).stdout).toContain('443');
    await machine.exec(['dpkg', '--purge', 'secgroupd']);
    expect(await table()).not.toContain('secgroupd');
    const left = await machine.exec([
      'sh',
      '-c',
      'find / -xdev -name "*secgroupd*" -not -path "/project*" -not -path "/proc/*" -not -path "/sys/*" -not -path "/tmp/*" -not -path "/var/log/*" -not -path "/run/log/*"',
    ]);
    expect(left.stdout).toBe('');
    expect(
      (await machine.exec(['grep', '-c', 'secgroupd', '/etc/passwd', '/etc/group'], { reject: false })).stdout,
    ).toBe('/etc/passwd:0\n/etc/group:0');
  });
});

test('its examples name the schema that it brings', () => {
  const unpacked = join(FOLDER, 'documentation');
  execFileSync('dpkg-deb', ['--extract', packages[0] ?? '', unpacked]);
  const examples = join(unpacked, 'usr/share/doc/secgroupd/examples');
  const files = readdirSync(examples).filter((name) => name.endsWith('.yaml'));
  expect(files.length).toBeGreaterThan(5);
  for (const name of files) {
    const lines = readFileSync(join(examples, name), 'utf8').split('\n');
    expect(lines.filter((line) => line.includes('$schema='))).toEqual([SCHEMA]);
  }
});

test('the same sources give the same package, in a directory that is not there yet', () => {
  const again = join(FOLDER, 'not/there');
  expect(hashOf(build(2, ARCHITECTURE, again))).toBe(hashOf(packages[1] ?? ''));
});

test('for the other kind of machine it has the same files, with that machine’s Node and addon', () => {
  const other = ARCHITECTURE === 'arm64' ? 'amd64' : 'arm64';
  const built = build(2, other);
  const ask = (...words: readonly string[]): string =>
    execFileSync('dpkg-deb', words, { encoding: 'utf8', maxBuffer: 1 << 28 });
  expect(ask('--field', built, 'Architecture').trim()).toBe(other);
  const files = (path: string): readonly string[] =>
    ask('--contents', path)
      .split('\n')
      .map((line) =>
        line.replace(/^(\S+\s+\S+)\s+\d+\s+\S+\s+\S+\s+/, '$1 ').replaceAll(/linux-(?:x64|arm64)/g, 'linux-?'),
      );
  expect(files(built).toSorted()).toEqual(files(packages[1] ?? '').toSorted());
  const unpacked = join(FOLDER, 'unpacked');
  execFileSync('dpkg-deb', ['--extract', built, unpacked]);
  const addon = `prebuilds/linux-${other === 'arm64' ? 'arm64' : 'x64'}/node.napi.node`;
  for (const program of ['node', addon]) expect(elfMachine(join(unpacked, 'usr/lib/secgroupd', program))).toBe(other);
});

/** Which machine an ELF file is for: bytes 18 and 19 of its header. */
function elfMachine(path: string): string | undefined {
  const machines: Readonly<Record<number, string>> = { 62: 'amd64', 183: 'arm64' };
  return machines[readFileSync(path).readUInt16LE(18)];
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
