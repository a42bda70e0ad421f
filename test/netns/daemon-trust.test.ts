import { chmodSync, chownSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import type { ExecResult } from './harness/world.ts';
import { PROGRAMS } from './harness-daemon/programs.ts';
import { replaceFile, type Site, useSite } from './harness-daemon/site.ts';

const USER = 12_345;

const CLOSED = `version: 1
securityGroups: { web: { inbound: [{ protocol: tcp, ports: 58080, source: any }] } }
instances: { host: { interfaces: { eth0: { securityGroups: [web] } } } }
`;

const WITH_LIST = `version: 1
addressGroups: { bad: { file: lists/bad.txt } }
securityGroups:
  web: { inbound: [{ action: deny, source: { addressGroup: bad } }, { protocol: tcp, ports: 58080, source: any }] }
instances: { host: { interfaces: { eth0: { securityGroups: [web] } } } }
`;

const OPEN = CLOSED.replace('web: { inbound', 'web: { template: Sys-FullAccess, inbound');

let site: Site;

useSite((made) => {
  site = made;
});

function at(name: string): string {
  return join(site.directory, name);
}

beforeEach(() => {
  chmodSync(site.directory, 0o755);
  for (const name of ['home', 'doc']) {
    rmSync(at(name), { recursive: true, force: true });
    mkdirSync(at(name), { mode: 0o755 });
  }
});

describe('the daemon', () => {
  test('refuses a policy that a symlink leads to in a user’s directory, though root owns the file, and says what to do', async () => {
    replaceFile(site.policyFile, CLOSED);
    const daemon = await site.start();
    const table = await site.table();
    writeFileSync(at('home/policy.yaml'), CLOSED.replace('58080', '58081'));
    writeFileSync(at('doc/example.yaml'), OPEN);
    chownSync(at('home'), USER, USER);
    symlinkSync('../home/policy.yaml', at('etc/new'));
    renameSync(at('etc/new'), site.policyFile);
    const { refusal } = await daemon.until('it is refused', ({ state }) => state === 'refused');
    expect(refusal?.diagnostics[0]).toMatchObject({
      code: 'unreadable-file',
      message: expect.stringContaining(`\`${at('home')}\` belongs to user ${USER}`) as string,
      help: expect.stringMatching(/^copy `.*home\/policy.yaml` to a directory that root alone can write to/) as string,
    });
    // What the user lays there instead is no better, whoever owns it.
    const { pid } = daemon;
    rmSync(at('home/policy.yaml'));
    symlinkSync(at('doc/example.yaml'), at('home/policy.yaml'));
    expect((await daemon.reload()).state).toBe('refused');
    expect(await site.table()).toBe(table);
    // A copy in place of the symlink is what the hint says, and helps.
    rmSync(site.policyFile);
    replaceFile(site.policyFile, OPEN);
    await daemon.until('it is in force', ({ state, changesApplied }) => state === 'enforced' && changesApplied > 1);
    expect(daemon.pid).toBe(pid);
  });

  test('keeps the members of a list in force when a user gets the means to exchange it', async () => {
    mkdirSync(at('home/lists'));
    writeFileSync(at('home/lists/bad.txt'), '192.0.2.66\n');
    symlinkSync('../home/lists', at('etc/lists'));
    replaceFile(site.policyFile, WITH_LIST);
    const daemon = await site.start();
    expect(await site.table()).toContain('192.0.2.66');
    // Root owns the list and its directory still; the directory above is the user's.
    chownSync(at('home'), USER, USER);
    renameSync(at('home/lists'), at('home/before'));
    mkdirSync(at('home/lists'));
    writeFileSync(at('home/lists/bad.txt'), '');
    await daemon.until('it is refused', ({ state }) => state === 'refused');
    expect(await site.table()).toContain('192.0.2.66');
    rmSync(at('etc/lists'));
  });

  test('lets in ssh alone where it has never had a policy but one that a user can exchange', async () => {
    let identity = 0;
    const reached = async (): Promise<string> => {
      const sent = [22, 58_080].map((destinationPort) => {
        identity += 1;
        const ends = { source: '203.0.113.9', destination: '10.77.0.1', sourcePort: 1_024 + identity, destinationPort };
        return { ...ends, protocol: 6, identity };
      });
      const arrived = await sendInbound(site.world, 'eth0', sent);
      return sent.map((one) => (arrived.has(one.identity) ? '1' : '0')).join('');
    };
    replaceFile(site.policyFile, OPEN);
    chownSync(site.policyFile, USER, USER);
    const daemon = await site.start({ becomes: 'refused' });
    expect(await reached()).toBe('10');
    // Another file of the user's choice, and a table that is gone, change nothing.
    replaceFile(site.policyFile, OPEN.replace('58080', '58081'));
    chownSync(site.policyFile, USER, USER);
    await site.nft('delete table inet secgroupd');
    await daemon.reload();
    expect(await reached()).toBe('10');
    replaceFile(site.policyFile, CLOSED);
    await daemon.until('it is trusted', ({ state }) => state === 'enforced');
    expect(await reached()).toBe('01');
  });
});

describe('sgctl', () => {
  test('verify says where what the daemon has in force is not what the policy file says', async () => {
    replaceFile(site.policyFile, CLOSED);
    await site.start();
    const same = await site.sgctl('verify', '--policy', site.policyFile);
    expect(same).toMatchObject({ exitCode: 0, stderr: '' });
    writeFileSync(at('other.yaml'), OPEN);
    const { stdout, stderr } = await site.sgctl('verify', '--policy', at('other.yaml'));
    expect(stdout).toBe(same.stdout);
    expect(stderr).toContain(`which differs from ${at('other.yaml')}`);
  });

  test('clear does not take the word of a daemon that removes nothing', async () => {
    replaceFile(site.policyFile, CLOSED);
    const daemon = await site.start();
    const answer = JSON.stringify(await daemon.status());
    await daemon.stop();
    const liar = createServer((incoming, response) => {
      incoming.resume();
      response.end(answer);
    });
    await new Promise<void>((resolve) => liar.listen(join(site.runtimeDirectory, 'secgroupd.sock'), resolve));
    try {
      const { exitCode, stdout, stderr } = await site.sgctl('clear', '--yes');
      expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
      expect(stderr).toContain('the kernel still has table inet secgroupd');
      await site.nft('delete table inet secgroupd');
      expect(await site.sgctl('clear', '--yes')).toMatchObject({ exitCode: 0 });
    } finally {
      liar.close();
    }
  });
});

describe('once', () => {
  const once = (...args: readonly string[]): Promise<ExecResult> => {
    const paths = ['--policy', site.policyFile, '--state-dir', site.stateDirectory];
    const places = [...paths, '--runtime-dir', site.runtimeDirectory, '--instance', 'host', '--once'];
    return site.world.exec(site.world.host, [process.execPath, PROGRAMS.secgroupd, ...places, ...args], {
      reject: false,
    });
  };
  const apply = (...args: readonly string[]): Promise<ExecResult> =>
    site.sgctl('apply', site.policyFile, '--instance', 'host', '--state-dir', site.stateDirectory, ...args);

  const UNTRUSTED: readonly (readonly [string, () => void])[] = [
    ['that a user owns', () => chownSync(site.policyFile, USER, 0)],
    ['that all may write to', () => chmodSync(site.policyFile, 0o666)],
    [
      'that a user could exchange',
      () => {
        renameSync(site.policyFile, at('home/policy.yaml'));
        symlinkSync('../home/policy.yaml', site.policyFile);
        chownSync(at('home'), USER, USER);
      },
    ],
  ];

  describe.each([
    ['secgroupd --once', once],
    ['sgctl apply', apply],
  ] as const)('%s', (_, run) => {
    test.each(UNTRUSTED)('refuses a policy %s, unless --trust any', async (__, prepare) => {
      rmSync(site.policyFile, { force: true });
      replaceFile(site.policyFile, CLOSED);
      prepare();
      for (const trust of [[], ['--trust', 'root']]) {
        const refused = await run(...trust);
        expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
        expect(refused.stderr).toMatch(/error\[unreadable-file\].*(?:belongs to user|can be written by others)/s);
        expect(await site.table()).toBe('');
      }
      expect(await run('--trust', 'any')).toMatchObject({ exitCode: 0 });
      expect(await site.table()).not.toBe('');
      expect(readFileSync(join(site.stateDirectory, 'last-good.nft'), 'utf8')).toContain('58080');
      rmSync(site.policyFile);
    });

    test('takes no other word for --trust', async () => {
      expect(await run('--trust', 'everybody')).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining('--trust is root or any') as string,
      });
    });
  });
});
