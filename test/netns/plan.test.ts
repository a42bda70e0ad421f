import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Connection, type TestSocket, tcpConnect, tcpServer } from './harness/sockets.ts';
import { PROGRAMS } from './harness-daemon/programs.ts';
import { createSite, reached, replaceFile, type Site } from './harness-daemon/site.ts';
import { type SshServer, startSshd } from './harness-daemon/ssh.ts';
import { until } from './harness-daemon/until.ts';

const FIRST = '10.77.0.2';
const SECOND = '10.77.0.3';

function policy(...inbound: readonly string[]): string {
  return `version: 1
securityGroups:
  web:
    inbound:
${inbound.map((rule) => `      - ${rule}\n`).join('')}    outbound:
      - { destination: any }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

const tcp = (ports: string, source: string): string => `{ protocol: tcp, ports: "${ports}", source: ${source} }`;

describe('sgctl plan', () => {
  let site: Site;
  let server: SshServer;
  let planned: string;
  const open: TestSocket[] = [];

  beforeAll(async () => {
    site = await createSite({ interfaces: [{ name: 'eth0' }] });
    const peer = site.world.peer('eth0');
    await site.world.exec(peer, ['ip', 'address', 'add', `${SECOND}/24`, 'dev', 'eth0', 'noprefixroute']);
    server = await startSshd(site.world.host, site.world.link('eth0').host.ipv4, site.directory);
    planned = join(site.directory, 'planned.yaml');
  });
  afterEach(async () => {
    for (const socket of open.splice(0)) await socket.close(true);
    await site.reset();
  });
  afterAll(async () => {
    await server?.stop();
    await site?.remove();
  });

  async function connect(port: number): Promise<Connection> {
    const address = site.world.link('eth0').host.ipv4;
    const connection = await tcpConnect(site.world.peer('eth0'), { address, port, timeout: 2_000 });
    if (connection.kind === 'connected') open.push(connection.socket);
    return connection;
  }

  test('tells a person in an ssh session first that it would be cut, with its addresses and rules; and another that it goes on', async () => {
    replaceFile(site.policyFile, policy(tcp('22', FIRST), tcp('22', SECOND)));
    await site.start();
    writeFileSync(planned, policy(tcp('22', SECOND)));
    const peer = site.world.peer('eth0');
    const command = `${process.execPath} ${PROGRAMS.sgctl} plan ${planned} --runtime-dir ${site.runtimeDirectory}`;
    const lines = (await server.run(peer, FIRST, command)).split('\n');
    const address = site.world.link('eth0').host.ipv4;
    expect(lines[2]).toMatch(new RegExp(`^YOUR SSH SESSION tcp ${FIRST}:\\d+ -> ${address}:22 WOULD BE CUT$`));
    expect(lines[3]).toBe(`  now   allow  web inbound[0]  ${site.policyFile}:5`);
    expect(lines[4]).toBe('  then  deny   no rule matches');
    expect(lines.join('\n')).toContain(`live connections that would be cut: 1\n  tcp ${FIRST}:`);

    const other = await server.run(peer, SECOND, command);
    expect(other.split('\n')[2]).toMatch(new RegExp(`^your ssh session tcp ${SECOND}:\\d+ -> ${address}:22 goes on$`));
    expect(other).toContain('no live connection would be cut');
    // As sudo does, which takes the variable away from its child and not from the shell.
    const bare = await server.run(peer, FIRST, `env -u SSH_CONNECTION ${command}; true`);
    expect(bare).toContain(`YOUR SSH SESSION tcp ${FIRST}:`);

    const trial = `${process.execPath} ${PROGRAMS.sgctl} try ${planned} --policy ${site.policyFile} --timeout 2 --no-wait --runtime-dir ${site.runtimeDirectory} 2>&1; sleep 3`;
    const cut = await server.run(peer, FIRST, trial);
    expect(cut.indexOf('WOULD BE CUT')).toBeGreaterThanOrEqual(0);
    expect(cut.indexOf('WOULD BE CUT')).toBeLessThan(cut.indexOf('active for 2 s'));
    const kept = await server.run(peer, SECOND, trial);
    expect(kept).toContain('active for 2 s');
    expect(kept).not.toMatch(/SESSION/i);
  });

  test('names the live connections that the policy then cuts, and those alone', async () => {
    replaceFile(site.policyFile, policy(tcp('8000', 'any'), tcp('8001', 'any')));
    const daemon = await site.start();
    const address = site.world.link('eth0').host.ipv4;
    for (const port of [8_000, 8_001]) open.push(await tcpServer(site.world.host, { address, port, mode: 'echo' }));
    const [first, second] = [await connect(8_000), await connect(8_001)];
    if (first.kind !== 'connected' || second.kind !== 'connected') throw new Error('no connections');
    writeFileSync(planned, policy(tcp('8001', 'any')));
    const { stdout, exitCode } = await site.sgctl('plan', planned, '--json');
    expect(exitCode).toBe(0);
    const answer = JSON.parse(stdout) as {
      connections: { destinationPort: number; source: string }[];
      changes: { change: string; traffic: unknown; remotes: unknown; before: { rule: { index: number } } }[];
    };
    expect(answer.connections).toMatchObject([{ protocol: 'tcp', source: FIRST, destinationPort: 8_000 }]);
    expect(answer.changes.map(({ change, traffic, remotes }) => [change, traffic, remotes])).toEqual([
      ['denied', [{ protocols: '6', parts: '8000' }], 'any'],
      ['denied', [{ protocols: '6', parts: '8000' }], 'any'],
    ]);
    replaceFile(site.policyFile, policy(tcp('8001', 'any')));
    await daemon.until('it is in force', reached(2));
    const echoes = async ({ socket }: { readonly socket: TestSocket }): Promise<boolean> => {
      const { bytes } = (await socket.status()).received;
      await socket.write(32);
      const grows = async (): Promise<boolean> => (await socket.status()).received.bytes > bytes;
      return until('the echo', grows, { within: 500 }).then(
        () => true,
        () => false,
      );
    };
    expect([await echoes(first), await echoes(second)]).toEqual([false, true]);
  });

  test('says that nothing changes in meaning where only the text does', async () => {
    replaceFile(site.policyFile, policy(tcp('80', '0.0.0.0/0'), tcp('81', '10.0.0.0/8')));
    await site.start();
    writeFileSync(
      planned,
      policy(
        tcp('80-81', '10.0.0.0/8'),
        tcp('80', '0.0.0.0/1'),
        tcp('80', '128.0.0.0/1'),
        '{ protocol: 6, ports: 80, source: 192.0.2.1 }',
      ),
    );
    const { stdout } = await site.sgctl('plan', planned);
    expect(stdout).toContain('nothing would change');
    writeFileSync(planned, policy(tcp('80', '0.0.0.0/0'), tcp('81', '10.0.0.0/9')));
    const other = await site.sgctl('plan', planned);
    expect(other.stdout).not.toContain('nothing would change');
    expect(other.stdout).toContain(
      `newly denied, inbound on eth0\n  tcp 81 from 10.128.0.0/9\n    now   allow  web inbound[1]  ${site.policyFile}:6\n    then  deny   no rule matches\n`,
    );
  });

  test('compares with what is in force, and not with a newer file that is refused', async () => {
    replaceFile(site.policyFile, policy(tcp('80', 'any')));
    const daemon = await site.start();
    replaceFile(site.policyFile, policy(tcp('8x', 'any')));
    await daemon.until('it is refused', ({ state }) => state === 'refused');
    writeFileSync(planned, policy(tcp('80', 'any')));
    expect((await site.sgctl('plan', planned)).stdout).toContain('nothing would change');
    const refused = await site.sgctl('plan', site.policyFile);
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('8x')]);
  });

  test('needs a daemon, or another file to compare with', async () => {
    writeFileSync(planned, policy(tcp('80', 'any')));
    const alone = await site.sgctl('plan', planned);
    expect([alone.exitCode, alone.stderr]).toEqual([3, expect.stringContaining('--against FILE')]);
    const other = join(site.directory, 'other.yaml');
    writeFileSync(other, policy(tcp('80,443', 'any')));
    const { exitCode, stdout } = await site.sgctl('plan', planned, '--against', other, '--instance', 'host');
    expect([exitCode, stdout]).toEqual([
      0,
      expect.stringContaining('newly denied, inbound on eth0\n  tcp 443 from any'),
    ]);
  });

  test('after a clear compares with nothing, where every packet passes', async () => {
    replaceFile(site.policyFile, policy(tcp('80', 'any')));
    await site.start();
    await site.sgctl('clear', '--yes');
    const { stdout } = await site.sgctl('plan', site.policyFile, '--instance', 'host');
    expect(stdout).toContain('against nothing in force');
    expect(stdout).toContain('newly denied, inbound on eth0');
    expect(stdout).not.toContain('newly allowed');
  });

  test('of a file in the place of the policy file has its drop-ins, and without them says what that changes', async () => {
    mkdirSync(site.dropIns);
    const dropIn = join(site.dropIns, '10-more.yaml');
    writeFileSync(
      dropIn,
      'instances: { other: { interfaces: { eth0: { addresses: [10.1.1.1], securityGroups: [web] } } } }\n',
    );
    const member = tcp('80', '{ securityGroup: web }');
    replaceFile(site.policyFile, policy(member));
    await site.start();
    writeFileSync(planned, policy(member));
    const there = await site.sgctl('plan', planned, '--as', site.policyFile);
    expect(there.stdout).toContain(`${planned}, with ${dropIn}, against what is in force`);
    expect(there.stdout).toContain('nothing would change');
    const { stdout } = await site.sgctl('plan', planned, '--as', site.policyFile, '--json');
    expect(JSON.parse(stdout)).toMatchObject({ same: true, with: [dropIn] });
    const alone = await site.sgctl('plan', planned, '--alone');
    expect(alone.stdout).toContain('security group web: 10.1.1.1 leaves');
    expect([alone.stderr, JSON.parse((await site.sgctl('plan', planned, '--alone', '--json')).stdout)]).toEqual([
      '',
      expect.objectContaining({ with: [] }),
    ]);
    // The place that is told is not that of the policy in force.
    const astray = await site.sgctl('plan', planned, '--as', join(site.directory, 'nowhere/policy.yaml'));
    expect(astray.stderr).toContain(`is used without drop-ins, but the policy in force has some: ${dropIn}`);
    expect((await site.sgctl('plan', planned, '--as', site.policyFile, '--alone')).exitCode).toBe(2);
  });
});
