import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ExecResult } from './harness/world.ts';
import { PROGRAMS } from './harness-daemon/programs.ts';
import { mounting, replaceFile, type Site, useSite } from './harness-daemon/site.ts';

const BOOT = fileURLToPath(new URL('../../systemd/boot.sh', import.meta.url));

/** Whose the state directory is, as the user of the service's is. */
const OWNER = 65_534;

const policy = (port: number): string => `version: 1
securityGroups: { web: { inbound: [{ protocol: tcp, ports: ${port}, source: any }] } }
instances: { host: { interfaces: { eth0: { securityGroups: [web] } } } }
`;

/** Runs what follows as the owner, with the one capability that the service has. */
const AS_OWNER = [
  ...['setpriv', '--reuid', String(OWNER), '--regid', String(OWNER), '--clear-groups'],
  ...['--inh-caps', '-all,+net_admin', '--ambient-caps', '-all,+net_admin', '--bounding-set', '-all,+net_admin'],
];

let site: Site;

useSite((made) => {
  site = made;
});

beforeEach(() => {
  chmodSync(site.directory, 0o755);
  replaceFile(site.policyFile, policy(58080));
  for (const directory of [site.stateDirectory, site.runtimeDirectory]) {
    mkdirSync(directory, { mode: 0o750 });
    chownSync(directory, OWNER, OWNER);
  }
});

function state(name: string): string {
  return join(site.stateDirectory, name);
}

function apply(...args: readonly string[]): Promise<ExecResult> {
  return site.sgctl('apply', site.policyFile, '--instance', 'host', '--state-dir', site.stateDirectory, ...args);
}

function once(): Promise<ExecResult> {
  const places = ['--state-dir', site.stateDirectory, '--runtime-dir', site.runtimeDirectory, '--instance', 'host'];
  const argv = [process.execPath, PROGRAMS.secgroupd, '--policy', site.policyFile, ...places, '--once'];
  return site.world.exec(site.world.host, argv, { reject: false });
}

function boot(): Promise<ExecResult> {
  const argv = [...AS_OWNER, 'env', `STATE_DIRECTORY=${site.stateDirectory}`, 'sh', BOOT];
  return site.world.exec(site.world.host, argv, { reject: false });
}

/** Everything below the state directory, with its owner. */
function owners(): ReadonlyMap<string, number> {
  const names = readdirSync(site.stateDirectory, { recursive: true, encoding: 'utf8' });
  return new Map(names.map((name) => [name, lstatSync(state(name)).uid]));
}

describe('root in the state directory of another user', () => {
  test.each([
    ['sgctl apply', () => apply()],
    ['secgroupd --once', once],
  ])('%s leaves nothing that is root’s: it boots, and the daemon goes on from it', async (_, run) => {
    // As the person at the keyboard may have it.
    const mask = process.umask(0o077);
    expect(await run()).toMatchObject({ exitCode: 0, stderr: '' });
    process.umask(mask);
    const found = owners();
    expect([...found.keys()]).toEqual(
      expect.arrayContaining(['last-good.nft', 'fallback.nft', 'history', 'history/00000001.json']),
    );
    expect(new Set(found.values())).toEqual(new Set([OWNER]));

    await site.nft('delete table inet secgroupd');
    expect(await boot()).toMatchObject({ exitCode: 0, stdout: 'the rules last in force are in force', stderr: '' });
    expect(await site.table()).toContain('58080');

    const daemon = await site.start({ wrapper: AS_OWNER });
    expect((await daemon.status()).troubles).toEqual([]);
    replaceFile(site.policyFile, policy(58081));
    await daemon.until('the edit is in force', ({ changesApplied }) => changesApplied > 0);
    const versions = JSON.parse((await site.sgctl('history', '--json')).stdout) as readonly object[];
    expect(versions).toMatchObject([
      { number: 2, origin: 'file' },
      { number: 1, origin: 'apply' },
    ]);
    expect(await site.sgctl('rollback')).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await daemon.status()).troubles).toEqual([]);
    expect(await site.table()).not.toContain('58081');
    await daemon.stop();
  });

  describe('follows no symlink of the owner', () => {
    const victim = (): string => join(site.directory, 'victim');
    const FILES = { shadow: 'precious', 'keep.conf': 'precious', ['0'.repeat(64)]: 'precious' } as const;

    beforeEach(() => {
      rmSync(victim(), { recursive: true, force: true });
      mkdirSync(victim(), { mode: 0o700 });
      for (const [name, text] of Object.entries(FILES)) writeFileSync(join(victim(), name), text);
    });

    test.each<[string, Readonly<Record<string, string>>]>([
      ['the texts', { 'history/texts': '.' }],
      ['the history', { history: '.' }],
      ['a version', { 'history/00000001.json': 'shadow' }],
      [
        'the scripts',
        {
          'last-good.nft': 'shadow',
          'last-good-changes.nft': 'keep.conf',
          'next.nft': 'shadow',
          'fallback.nft': 'shadow',
        },
      ],
    ])('in place of %s', async (_, links) => {
      if (links['history'] === undefined) {
        mkdirSync(state('history'));
        chownSync(state('history'), OWNER, OWNER);
      }
      for (const [name, target] of Object.entries(links)) {
        symlinkSync(join(victim(), target), state(name));
        lchownSync(state(name), OWNER, OWNER);
      }
      const { exitCode, stderr } = await apply();
      expect(exitCode).toBe(0);
      for (const [name, target] of Object.entries(links))
        if (target === '.') expect(stderr).toContain(`\`${state(name)}\` is a symlink`);
      const left = readdirSync(victim()).map((file) => [file, readFileSync(join(victim(), file), 'utf8')]);
      expect(Object.fromEntries(left)).toEqual(FILES);
      expect(readFileSync(state('last-good.nft'), 'utf8')).toContain('58080');
      expect(lstatSync(state('last-good.nft')).uid).toBe(OWNER);
    });

    test('in place of the state directory itself: root does there what its owner may', async () => {
      const theirs = join(site.directory, 'state/theirs');
      symlinkSync(victim(), theirs);
      const { exitCode, stderr } = await site.sgctl(
        ...['apply', site.policyFile, '--instance', 'host', '--state-dir', theirs],
      );
      expect(exitCode).toBe(0);
      expect(stderr).toMatch(/not saved for the next boot: .*(?:denied|EACCES)/);
      expect(readdirSync(victim()).toSorted()).toEqual(Object.keys(FILES).toSorted());
    });
  });

  test('says who must own what, where root once left files of its own', async () => {
    mkdirSync(state('history'), { mode: 0o700 });
    writeFileSync(state('last-good.nft'), 'add table inet secgroupd\n', { mode: 0o600 });
    const told = `chown -Rh ${OWNER}: ${site.stateDirectory}`;
    expect((await boot()).stderr).toMatch(/last-good\.nft cannot be read by .*must belong to that user: chown -Rh/);
    await site.nft('delete table inet secgroupd');
    const applied = await apply();
    expect(applied).toMatchObject({ exitCode: 0, stderr: expect.stringContaining(told) as string });
    expect(applied.stderr).toContain(`\`${state('history')}\` belongs to user 0`);
    const daemon = await site.start({ wrapper: AS_OWNER });
    expect((await daemon.status()).troubles[0]?.message).toContain(told);
    expect((await site.sgctl('history')).stderr).toContain(told);
    chownSync(state('history'), OWNER, OWNER);
    await daemon.stop();
    const mended = await site.start({ wrapper: AS_OWNER });
    expect((await mended.status()).troubles).toEqual([]);
    await mended.stop();
  });

  test('a daemon that root starts says that it should not be, and leaves nothing that is root’s', async () => {
    const list = join(site.directory, 'etc/list.txt');
    writeFileSync(list, '192.0.2.1\n');
    replaceFile(
      site.policyFile,
      policy(58080)
        .replace('version: 1', 'version: 1\naddressGroups: { friends: { file: list.txt } }')
        .replace('any', '{ addressGroup: friends }'),
    );
    const daemon = await site.start();
    expect(daemon.log.map(({ msg }) => msg).join('\n')).toContain(
      `the state directory of user ${OWNER}, and this is root`,
    );
    replaceFile(list, '192.0.2.1\n192.0.2.2\n');
    await daemon.until('the member is known', ({ changesApplied }) => changesApplied > 1);
    await daemon.stop();
    const found = owners();
    expect([...found.keys()]).toEqual(
      expect.arrayContaining(['last-good.nft', 'last-good-changes.nft', 'fallback.nft', 'history/texts']),
    );
    expect(new Set(found.values())).toEqual(new Set([OWNER]));
  });
});

describe('a state directory that is not there', () => {
  const SERVICE = 47_003;

  test.each([
    ['with', SERVICE],
    ['without', 0],
  ])('is made as systemd makes it on a host %s the user of the service', async (_, uid) => {
    rmSync(site.stateDirectory, { recursive: true });
    const users = join(site.directory, 'passwd');
    const service = uid === 0 ? '' : `secgroupd:x:${uid}:${uid}::/:/bin/false\n`;
    writeFileSync(users, `root:x:0:0::/root:/bin/sh\n${service}`);
    const argv = [process.execPath, PROGRAMS.sgctl, 'apply', site.policyFile, '--instance', 'host'];
    const below = join(site.directory, 'deeper/state');
    for (const directory of [site.stateDirectory, below]) {
      const places = ['--state-dir', directory, '--runtime-dir', site.runtimeDirectory];
      const call = [...mounting(`umask 077 && mount --bind ${users} /etc/passwd`), ...argv, ...places];
      expect(await site.world.exec(site.world.host, call, { reject: false })).toMatchObject({
        exitCode: 0,
        stderr: '',
      });
      const { uid: owner, gid, mode } = lstatSync(directory);
      expect({ owner, gid, mode: mode & 0o7777 }).toEqual({ owner: uid, gid: uid, mode: 0o750 });
      if (directory === site.stateDirectory) expect(new Set(owners().values())).toEqual(new Set([uid]));
      else expect(lstatSync(join(below, 'last-good.nft')).uid).toBe(uid);
    }
    expect(lstatSync(join(site.directory, 'deeper'))).toMatchObject({ uid: 0, mode: 0o40755 });
    rmSync(join(site.directory, 'deeper'), { recursive: true });
  });

  test('is not made where others could lead root elsewhere', async () => {
    const shared = join(site.directory, 'shared');
    mkdirSync(shared);
    chmodSync(shared, 0o777);
    const { exitCode, stderr } = await site.sgctl(
      ...['apply', site.policyFile, '--instance', 'host', '--state-dir', join(shared, 'state')],
    );
    expect(exitCode).toBe(0);
    expect(stderr).toContain(`\`${shared}\` can be written by others than its owner`);
    expect(readdirSync(shared)).toEqual([]);
    rmSync(shared, { recursive: true });
  });
});
