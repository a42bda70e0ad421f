import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import { replaceFile, type Site, useSite } from './harness-daemon/site.ts';

const VALID = `version: 1
securityGroups:
  web:
    inbound:
      - { action: deny, protocol: tcp, ports: 80, source: 198.51.100.0/24 }
      - { protocol: tcp, ports: 80, source: any }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;

const INVALID = VALID.replace('ports: 80, source: any', 'port: 80, source: any');

let site: Site;

useSite((made) => {
  site = made;
});

async function isOpen(destinationPort: number): Promise<boolean> {
  await site.world.flushConntrack();
  const packet = { source: '203.0.113.9', destination: '10.77.0.1', protocol: 6, destinationPort, identity: 1 };
  return (await sendInbound(site.world, 'eth0', [packet])).has(1);
}

describe('sgctl apply', () => {
  const apply = (...args: readonly string[]) =>
    site.sgctl('apply', '--state-dir', site.stateDirectory, '--instance', 'host', site.policyFile, ...args);

  test('applies once without a daemon, and says so when there is nothing to do', async () => {
    replaceFile(site.policyFile, VALID);
    expect(await isOpen(81)).toBe(true);
    const first = await apply();
    expect(first).toMatchObject({ exitCode: 0, stderr: '' });
    expect(first.stdout).toContain('active as host, version 1');
    expect([await isOpen(80), await isOpen(81)]).toEqual([true, false]);
    const table = await site.table();
    const second = await apply('--json');
    expect(second.exitCode).toBe(0);
    expect(JSON.parse(second.stdout)).toMatchObject({ instance: 'host', generation: 1, changed: false });
    expect(await site.table()).toBe(table);
    replaceFile(site.policyFile, VALID.replaceAll('80', '81'));
    expect((await apply()).stdout).toContain('version 2');
    expect([await isOpen(80), await isOpen(81)]).toEqual([false, true]);
  });

  test('does with a mistake in the policy nothing but tell its place: exit status 1', async () => {
    replaceFile(site.policyFile, VALID);
    await apply();
    const table = await site.table();
    replaceFile(site.policyFile, INVALID);
    const refused = await apply();
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' });
    expect(refused.stderr).toContain(`${site.policyFile}:6:`);
    expect(await site.table()).toBe(table);
  });

  test('leaves the table to a daemon that runs: exit status 3, and nothing changes', async () => {
    replaceFile(site.policyFile, VALID);
    await site.start();
    const table = await site.table();
    replaceFile(join(site.directory, 'other.yaml'), VALID.replaceAll('80', '81'));
    const refused = await site.sgctl('apply', '--state-dir', site.stateDirectory, join(site.directory, 'other.yaml'));
    expect(refused).toMatchObject({ exitCode: 3, stdout: '' });
    expect(refused.stderr).toContain('daemon is running');
    expect(await site.table()).toBe(table);
  });

  test('for a host that the policy does not name changes nothing: exit status 3', async () => {
    replaceFile(site.policyFile, VALID);
    const refused = await site.sgctl('apply', '--state-dir', site.stateDirectory, site.policyFile);
    expect(refused.exitCode).toBe(3);
    expect(await site.table()).toBe('');
  });

  test('is what a daemon that starts later finds in force', async () => {
    replaceFile(site.policyFile, VALID);
    await apply();
    const table = await site.table();
    const daemon = await site.start();
    expect(await daemon.status()).toMatchObject({ changesApplied: 0, inForce: { generation: 1 } });
    expect(await site.table()).toBe(table);
  });

  test('tells the place of a rule that the kernel refuses, or at least that it does: exit status 3', async () => {
    replaceFile(site.policyFile, VALID);
    await apply();
    await site.world.nft('delete set inet secgroupd applied\nadd set inet secgroupd applied { type ipv4_addr; }');
    const table = await site.table();
    replaceFile(site.policyFile, VALID.replaceAll('80', '81'));
    const refused = await apply();
    expect(refused.exitCode).toBe(3);
    expect(refused.stderr).toContain('the kernel was not changed');
    expect(await site.table()).toBe(table);
  });
});

describe('sgctl status', () => {
  test('has an answer only where a daemon serves: exit status 3 without, 0 with one', async () => {
    const without = await site.sgctl('status');
    expect(without).toMatchObject({ exitCode: 3, stdout: '' });
    expect(without.stderr).toContain('no daemon serves');
    expect(without.stderr).toContain('NOT PROTECTED: there are no rules of secgroupd on this host');
    replaceFile(site.policyFile, VALID);
    await site.start();
    const status = await site.sgctl('status');
    expect(status.exitCode).toBe(0);
    expect(status.stdout).toMatch(/^interface +eth0: web \(2 inbound, 0 outbound rules\)$/m);
    expect(status.stdout).toMatch(/^forwarded +not filtered/m);
  });

  test('says what is still in force where the daemon has ended', async () => {
    replaceFile(site.policyFile, VALID);
    await (await site.start()).stop();
    const { exitCode, stderr } = await site.sgctl('status');
    expect(exitCode).toBe(3);
    expect(stderr).toContain('Rules that were in force still are');
    expect(stderr).not.toContain('NOT PROTECTED');
  });

  test('exits with 1 where the host is not as its newest policy has it, and nobody chose that', async () => {
    replaceFile(site.policyFile, VALID);
    const daemon = await site.start();
    const status = async (): Promise<number> => (await site.sgctl('status')).exitCode;
    replaceFile(site.policyFile, INVALID);
    await daemon.until('it is refused', ({ state }) => state === 'refused');
    expect(await status()).toBe(1);
    replaceFile(site.policyFile, VALID.replaceAll('80', '81'));
    await daemon.until('it is in force', ({ state }) => state === 'enforced');
    expect(await status()).toBe(0);
    const tried = join(site.directory, 'tried.yaml');
    replaceFile(tried, VALID);
    expect((await site.sgctl('try', tried, '--no-wait')).exitCode).toBe(0);
    const onTrial = await site.sgctl('status');
    expect(onTrial).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('ON TRIAL') as string });
    expect((await site.sgctl('rollback')).exitCode).toBe(0);
    expect((await site.sgctl('rollback', '1')).exitCode).toBe(0);
    expect(await site.sgctl('status')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('NOT active') as string,
    });
    expect((await site.sgctl('clear', '--yes')).exitCode).toBe(0);
    const cleared = await site.sgctl('status');
    expect(cleared).toMatchObject({ exitCode: 1, stdout: expect.stringContaining('OFF (sgctl clear)') as string });
  });
});

describe('sgctl clear', () => {
  test('without a daemon removes our table, and is content where there is none', async () => {
    replaceFile(site.policyFile, VALID);
    await (await site.start()).stop();
    expect(await isOpen(81)).toBe(false);
    const table = await site.table();
    const unasked = await site.sgctl('clear');
    expect(unasked).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('--yes') as string });
    expect(await site.table()).toBe(table);
    const cleared = await site.sgctl('clear', '--yes');
    expect(cleared.exitCode).toBe(0);
    expect(cleared.stdout).toContain('on again: systemctl start secgroupd');
    expect(await site.table()).toBe('');
    expect(await isOpen(81)).toBe(true);
    expect((await site.sgctl('clear', '--yes')).exitCode).toBe(0);
  });
});

describe('sgctl check, compile and explain', () => {
  const packet = ['--direction', 'inbound', '--protocol', 'tcp', '--dst', '10.77.0.1', '--dport', '80'];

  test('check says yes, or no with every place', async () => {
    replaceFile(site.policyFile, VALID);
    expect(await site.sgctl('check', site.policyFile)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse((await site.sgctl('check', '--json', site.policyFile)).stdout)).toEqual([]);
    replaceFile(site.policyFile, INVALID);
    const no = await site.sgctl('check', site.policyFile);
    expect(no).toMatchObject({ exitCode: 1, stdout: '' });
    expect(no.stderr).toContain('the key is called `ports`');
    const json = await site.sgctl('check', '--json', site.policyFile);
    expect(json.exitCode).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject([{ severity: 'error', file: site.policyFile, line: 6 }]);
    expect((await site.sgctl('check', join(site.directory, 'none.yaml'))).exitCode).toBe(1);
  });

  test('lint advises, and is a test at the level that is asked for', async () => {
    replaceFile(
      site.policyFile,
      VALID.replace('any }', 'any, priority: 5 }').replace('80, source: any', '22, source: any'),
    );
    const advice = await site.sgctl('lint', site.policyFile);
    expect(advice).toMatchObject({ exitCode: 0, stderr: '' });
    expect(advice.stdout).toContain(`${site.policyFile}:6:9: warning[world-open]: `);
    expect(advice.stdout).toMatch(/1 warning, \d info$/);
    expect((await site.sgctl('lint', '--fail-on', 'warning', site.policyFile)).exitCode).toBe(1);
    const json = JSON.parse((await site.sgctl('lint', '--json', site.policyFile)).stdout) as { findings: unknown };
    expect(json.findings).toContainEqual(
      expect.objectContaining({
        code: 'world-open',
        severity: 'warning',
        line: 6,
        witness: expect.objectContaining({ instance: 'host', dport: 22, src: '203.0.113.1' }),
      }),
    );
    // What is left is no warning.
    replaceFile(site.policyFile, VALID);
    expect((await site.sgctl('lint', '--fail-on', 'warning', site.policyFile)).exitCode).toBe(0);
    expect((await site.sgctl('lint', '--fail-on', 'info', site.policyFile)).exitCode).toBe(0);
    expect(await site.sgctl('lint', '--fail-on', 'all', site.policyFile)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('--fail-on is one of warning, info, never'),
    });
    replaceFile(site.policyFile, INVALID);
    expect(await site.sgctl('lint', site.policyFile)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('the key is called `ports`'),
    });
  });

  test('graph draws to standard output or to a file, as its name ends', async () => {
    replaceFile(site.policyFile, VALID);
    expect((await site.sgctl('graph', site.policyFile)).stdout).toMatch(/^flowchart LR\n/);
    const page = join(site.directory, 'policy.html');
    expect((await site.sgctl('graph', site.policyFile, '-o', page)).exitCode).toBe(0);
    expect(readFileSync(page, 'utf8')).toMatch(/^<!doctype html>[^]*<svg /);
    expect((await site.sgctl('graph', site.policyFile, '--format', 'png')).exitCode).toBe(2);
    expect((await site.sgctl('graph', site.policyFile, '-o', '/proc/nowhere/a.svg')).exitCode).toBe(3);
  });

  test('compile prints what nft takes, and touches nothing', async () => {
    replaceFile(site.policyFile, VALID);
    const compiled = await site.sgctl('compile', '--instance', 'host', site.policyFile);
    expect(compiled.exitCode).toBe(0);
    expect(await site.table()).toBe('');
    await site.world.nft(`${compiled.stdout}\n`);
    expect([await isOpen(80), await isOpen(81)]).toEqual([true, false]);
    const byDaemon = await site.table();
    await site.world.nft('delete table inet secgroupd');
    await site.start();
    const withoutHandles = (text: string): string => text.replaceAll(/ # handle \d+/g, '');
    expect(withoutHandles(await site.table())).toBe(withoutHandles(byDaemon));
    replaceFile(site.policyFile, INVALID);
    expect(await site.sgctl('compile', '--instance', 'host', site.policyFile)).toMatchObject({
      exitCode: 1,
      stdout: '',
    });
    replaceFile(site.policyFile, VALID);
    expect((await site.sgctl('compile', '--instance', 'hots', site.policyFile)).exitCode).toBe(3);
  });

  test('explain names the rule, with its line; and answers yes or no to what is expected', async () => {
    replaceFile(site.policyFile, VALID);
    const common = ['explain', '--policy', site.policyFile, '--instance', 'host', ...packet];
    const allowed = await site.sgctl(...common, '--src', '203.0.113.9', '--json');
    expect(allowed.exitCode).toBe(0);
    expect(JSON.parse(allowed.stdout)).toMatchObject({ verdict: 'allow', rule: { group: 'web', index: 1, line: 6 } });
    const denied = await site.sgctl(...common, '--src', '198.51.100.9', '--json');
    expect(denied.exitCode).toBe(0);
    expect(JSON.parse(denied.stdout)).toMatchObject({ verdict: 'deny', rule: { group: 'web', index: 0, line: 5 } });
    expect((await site.sgctl(...common, '--src', '203.0.113.9', '--expect', 'allow')).exitCode).toBe(0);
    expect((await site.sgctl(...common, '--src', '198.51.100.9', '--expect', 'allow')).exitCode).toBe(1);
    expect((await site.sgctl(...common)).exitCode).toBe(2);
    const sideways = await site.sgctl(...common, '--src', '203.0.113.9', '--direction', 'sideways');
    expect(sideways).toMatchObject({ exitCode: 2, stdout: '' });
    expect(sideways.stderr).toContain('inbound or outbound');
    replaceFile(site.policyFile, INVALID);
    expect((await site.sgctl(...common, '--src', '203.0.113.9')).exitCode).toBe(1);
  });
});

describe('wrong usage', () => {
  test.each([
    ['chekc', 'did you mean `check`?'],
    ['check --jsno', 'did you mean `--json`?'],
    ['apply --instnace x', 'did you mean `--instance`?'],
    ['check one two', 'unexpected `two`'],
    ['apply --instance', 'instance'],
  ])('`%s` ends with status 2 and a hint', async (words, hint) => {
    const wrong = await site.sgctl(...words.split(' '));
    expect(wrong).toMatchObject({ exitCode: 2, stdout: '' });
    expect(wrong.stderr).toContain(hint);
  });

  test.each(['check', 'compile', 'apply', 'explain', 'status', 'clear'])(
    '%s --help has an example',
    async (command) => {
      const help = await site.sgctl(command, '--help');
      expect(help).toMatchObject({ exitCode: 0, stderr: '' });
      expect(help.stdout).toContain('Examples:');
    },
  );

  test('a policy in a list of drop-ins that is no directory is told, not stumbled over', async () => {
    replaceFile(site.policyFile, VALID);
    writeFileSync(site.dropIns, 'a file');
    const no = await site.sgctl('check', site.policyFile);
    expect(no.exitCode).toBe(1);
    expect(no.stderr).toContain(site.dropIns);
    mkdirSync(join(site.directory, 'etc/sub'));
    expect((await site.sgctl('check', join(site.directory, 'etc/sub'))).exitCode).toBe(1);
  });
});
