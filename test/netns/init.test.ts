import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import { type Connection, type TestSocket, tcpConnect, tcpServer } from './harness/sockets.ts';
import { PROGRAMS } from './harness-daemon/programs.ts';
import { createSite, type Site } from './harness-daemon/site.ts';
import { type SshServer, startSshd } from './harness-daemon/ssh.ts';
import { until } from './harness-daemon/until.ts';

describe('sgctl init', () => {
  const client = '10.77.0.2';
  let site: Site;
  let server: SshServer;
  const open: TestSocket[] = [];

  beforeAll(async () => {
    site = await createSite({ interfaces: [{ name: 'eth0' }] });
    server = await startSshd(site.world.host, site.world.link('eth0').host.ipv4, site.directory);
  });
  afterEach(async () => {
    for (const socket of open.splice(0)) await socket.close(true);
    await site.reset();
  });
  afterAll(async () => {
    await server?.stop();
    await site?.remove();
  });

  async function listen(address: string, port: number): Promise<void> {
    open.push(await tcpServer(site.world.host, { address, port }));
  }

  async function connect(port: number, ipv6 = false): Promise<Connection['kind']> {
    const { host } = site.world.link('eth0');
    const address = ipv6 ? host.ipv6 : host.ipv4;
    const connection = await tcpConnect(site.world.peer('eth0'), { address, port, timeout: 1_000 });
    if (connection.kind === 'connected') await connection.socket.close(true);
    return connection.kind;
  }

  test('writes a policy under which what listens is reached, nothing else is, and the session it was called from goes on', async () => {
    const { host } = site.world.link('eth0');
    await listen('0.0.0.0', 8_000);
    await listen(host.ipv4, 8_001);
    await listen(host.ipv6, 8_002);
    await listen('127.0.0.1', 8_003);
    const session = await server.connect(site.world.peer('eth0'), client, 10);
    const said = await server.run(
      site.world.peer('eth0'),
      client,
      `${process.execPath} ${PROGRAMS.sgctl} init ${site.policyFile}`,
    );
    expect(said).toContain(`${site.policyFile}: written`);
    const text = readFileSync(site.policyFile, 'utf8');
    expect(text).toContain(`- { protocol: tcp, ports: 22, source: "${client}" }`);
    // The session has processes of its own, and sees no others.
    expect(text).toContain(
      '{ protocol: tcp, ports: 8001, source: any, description: "a program that could not be told" }',
    );
    expect(text).not.toContain('8003');

    await site.start({ instance: null });
    await listen('0.0.0.0', 8_004);
    expect([await connect(8_000), await connect(8_001), await connect(8_002, true)]).toEqual(
      Array(3).fill('connected'),
    );
    expect(await connect(8_004)).toBe('failed');
    expect(await session?.echoes(2_000)).toBe(true);
    const again = await server.connect(site.world.peer('eth0'), client, 5);
    expect(await again?.echoes(2_000)).toBe(true);
    await session?.end();
    await again?.end();
  });

  test('lets in what raw sockets hear, and UDP on ports that clients get; what it leaves out is named', async () => {
    const { host, namespace } = { host: site.world.link('eth0').host, namespace: site.world.host.namespace };
    const program = `import socket, sys
S = socket.socket
held = [S(socket.AF_INET, socket.SOCK_RAW, p) for p in (112, 89)]
for family, kind, port in ((2, 2, 51820), (10, 2, 51820), (2, 2, 5353), (2, 2, 45123)):
    s = S(family, kind)
    if family == 10: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(('::' if family == 10 else '0.0.0.0', port))
    held.append(s)
print('ready', flush=True)
sys.stdin.read()`;
    const child = spawn('ip', ['netns', 'exec', namespace, 'python3', '-c', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      await until('the sockets are there', () => said.includes('ready'));
      const { exitCode, stdout } = await site.sgctl('init', site.policyFile);
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^left out: udp 45123 \(python3[^)]*\): looks like the port of a client/m);
      await site.start({ instance: null });
      const packets = [
        { protocol: 112 },
        { protocol: 89 },
        { protocol: 103 },
        { protocol: 17, destinationPort: 51_820 },
        { protocol: 17, destinationPort: 5_353 },
        { protocol: 17, destinationPort: 45_123 },
      ].map((packet, index) => ({
        source: client,
        destination: host.ipv4,
        identity: 100 + index,
        ...(packet.protocol === 17 ? { sourcePort: 1_000 } : {}),
        ...packet,
      }));
      const arrived = await sendInbound(site.world, 'eth0', packets);
      expect(packets.map(({ identity }) => arrived.has(identity))).toEqual([true, true, false, true, true, false]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('replaces no file unless told to, and prints if told to', async () => {
    writeFileSync(site.policyFile, 'mine\n');
    const refused = await site.sgctl('init', site.policyFile);
    expect([refused.exitCode, refused.stderr]).toEqual([3, expect.stringContaining('--force')]);
    expect(readFileSync(site.policyFile, 'utf8')).toBe('mine\n');
    await listen('0.0.0.0', 8_000);
    await listen('0.0.0.0', 8_001);
    const printed = await site.sgctl('init', '-');
    expect(printed.stdout).toMatch(/protocol: tcp, ports: "8000,8001", source: any, description: "python/);
    expect((await site.sgctl('init', site.policyFile, '--force')).exitCode).toBe(0);
    expect(readFileSync(site.policyFile, 'utf8').trimEnd()).toBe(printed.stdout.trimEnd());
    expect((await site.sgctl('check', site.policyFile)).exitCode).toBe(0);
    const deep = join(site.directory, 'etc/not/there/policy.yaml');
    expect((await site.sgctl('init', deep)).exitCode).toBe(0);
    expect(existsSync(deep)).toBe(true);
    const nowhere = await site.sgctl('init', '/proc/policy.yaml');
    expect([nowhere.exitCode, nowhere.stderr]).toEqual([3, expect.stringContaining('cannot write')]);
  });
});
