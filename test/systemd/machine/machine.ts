import { type ChildProcess, spawn } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { createWorld, type ExecResult, type World } from '../../netns/harness/world.ts';
import { until } from '../../netns/harness-daemon/until.ts';
import { debianTree, type TreeKind } from './tree.ts';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));

const CONTAINER = join(PROJECT, 'scripts/lab/container.sh');

/** Where a machine finds the project, to be installed from. */
export const PROJECT_INSIDE = '/project';

const BOOT_MILLISECONDS = 60_000;

/** For what takes a moment, on a machine that is busy with something else. */
const PATIENCE = { within: 20_000 };

/**
 * A Debian with a real systemd, in namespaces of its own; its network is the host of `world`. Its disk outlives its
 * boots, and as on any machine what the kernel holds does not: no rules, no flows.
 */
export interface Machine {
  readonly world: World;
  /** A file of its disk, for when it is off. */
  path(inside: string): string;
  /** Puts a file on its disk. */
  write(inside: string, text: string, mode?: number): void;
  /** Switches it on; resolves when its systemd has begun. */
  powerOn(): Promise<void>;
  /** Resolves when all that starts by itself has started, or failed. */
  booted(): Promise<void>;
  /** Runs a program in it; throws when it fails, unless `reject` is false. */
  exec(argv: readonly string[], options?: { readonly reject?: boolean }): Promise<ExecResult>;
  /** What `systemctl show` says of these properties of a unit. */
  show<Property extends string>(unit: string, ...properties: readonly Property[]): Promise<Record<Property, string>>;
  /** Has its systemd end it in order, and waits until it is off. */
  shutDown(): Promise<void>;
  /** Takes its power away. */
  powerOff(): Promise<void>;
  /** Switches it off and removes it, with its world. */
  remove(): Promise<void>;
}

/** Makes a machine that is off. */
export async function createMachine(
  suite: 'bookworm' | 'trixie' = 'bookworm',
  kind: TreeKind = 'container',
): Promise<Machine> {
  const tree = debianTree(suite, kind);
  const world = await createWorld({ interfaces: [{ name: 'eth0' }], neighbors: 'resolved' });
  const directory = mkdtempSync(join(tmpdir(), 'secgroupd-machine-'));
  for (const name of ['upper', 'work', 'root']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'network'), '');
  for (const place of ['etc/systemd/system', 'etc/systemd/system/multi-user.target.wants'])
    mkdirSync(join(directory, 'upper', place), { recursive: true });
  writeFileSync(join(directory, 'upper/etc/systemd/system/eth0.service'), NETWORK);
  symlinkSync('../eth0.service', join(directory, 'upper/etc/systemd/system/multi-user.target.wants/eth0.service'));
  // As installed by a distribution: one of a version manager in someone's home is not for root to run.
  const node = statSync(process.execPath).uid === 0 ? process.execPath : join(directory, 'node');
  if (node !== process.execPath) copyFileSync(process.execPath, node);
  const cgroup = join(cgroupRoot(), world.host.namespace);
  let power: { readonly child: ChildProcess; readonly ended: Promise<void>; readonly init: number } | undefined;

  const powerOn = async (): Promise<void> => {
    // A kernel that has just begun.
    // By its own nft: an older one dies of what a newer one says of its rules.
    await world.exec(world.host, ['chroot', tree, 'nft', '-f', '-'], {
      input: 'add table inet secgroupd\ndelete table inet secgroupd\n',
    });
    await world.flushConntrack();
    await world.exec(world.host, ['ip', 'link', 'set', 'eth0', 'down']);
    // Should the test process be killed outright, everything ends with it.
    const child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL', CONTAINER],
        ...[directory, tree, world.host.namespace, '--machine=debian'],
        ...[`--overlay=${PROJECT}::${PROJECT_INSIDE}`, `--bind-ro=${node}:/usr/local/bin/node`],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const ended = new Promise<void>((resolve) => {
      child.once('close', () => resolve());
    });
    const init = await until(
      'the machine begins',
      async () => {
        if (child.exitCode !== null) throw new Error(`the machine does not begin: ${said}`);
        const nspawn = await childrenOf(child.pid ?? 0);
        const [pid] = nspawn[0] === undefined ? [] : await childrenOf(nspawn[0]);
        return pid !== undefined && commandOf(pid) === 'systemd' && pid;
      },
      PATIENCE,
    );
    power = { child, ended, init };
  };

  const exec = async (
    argv: readonly string[],
    { reject = true }: { readonly reject?: boolean } = {},
  ): Promise<ExecResult> => {
    const enter = [
      '--target',
      String(power?.init ?? 0),
      '--mount',
      '--uts',
      '--ipc',
      '--net',
      '--pid',
      '--root',
      '--wd',
    ];
    const clean = [
      'env',
      '-i',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOME=/root',
      'LC_ALL=C',
    ];
    const result = await execa('nsenter', [...enter, ...clean, ...argv], { reject, input: '', timeout: 120_000 });
    return { exitCode: result.exitCode ?? -1, stdout: result.stdout, stderr: result.stderr };
  };

  const off = async (): Promise<void> => {
    await power?.ended;
    power = undefined;
    // The kernel takes a moment to be rid of the last of its processes.
    await until('its control groups are empty', () => removeCgroup(cgroup), PATIENCE);
  };

  const powerOff = async (): Promise<void> => {
    power?.child.kill('SIGKILL');
    await off();
  };

  return {
    world,
    path: (inside) => join(directory, 'upper', inside),
    write(inside, text, mode = 0o644) {
      const path = join(directory, 'upper', inside);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { mode });
    },
    powerOn,
    async booted() {
      await until(
        'the machine has booted',
        async () =>
          /^(?:running|degraded)$/.test((await exec(['systemctl', 'is-system-running'], { reject: false })).stdout),
        { within: BOOT_MILLISECONDS },
      );
    },
    exec,
    async show(unit, ...properties) {
      const { stdout } = await exec(['systemctl', 'show', unit, `--property=${properties.join(',')}`]);
      const pairs = stdout
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
      return Object.fromEntries(pairs) as Record<(typeof properties)[number], string>;
    },
    async shutDown() {
      await exec(['systemctl', 'poweroff', '--no-block']);
      await off();
    },
    powerOff,
    async remove() {
      await powerOff();
      rmSync(directory, { recursive: true, force: true });
      await world.destroy();
    },
  };
}

/** Brings the interface up when programs of this kind do. */
const NETWORK = `[Unit]
DefaultDependencies=no
Wants=network.target
After=network-pre.target
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/ip link set eth0 up
[Install]
WantedBy=multi-user.target
`;

/** Where the unified hierarchy of control groups is mounted. */
function cgroupRoot(): string {
  const mount = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find(([, , type]) => type === 'cgroup2');
  if (mount?.[1] === undefined)
    throw new Error('tests with a real systemd need the unified hierarchy of control groups');
  return mount[1];
}

/** Removes a group and those below it; false where a process is left in one. */
function removeCgroup(path: string): boolean {
  if (!existsSync(path)) return true;
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (!below.every(({ name }) => removeCgroup(join(path, name)))) return false;
  try {
    rmdirSync(path);
    return true;
  } catch {
    return false;
  }
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const { stdout } = await execa('pgrep', ['--parent', String(pid)], { reject: false });
  return stdout.split('\n').filter(Boolean).map(Number);
}

function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
