import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Connection, type TestSocket, tcpConnect, tcpServer } from './harness/sockets.ts';
import { createSite, reached, replaceFile, type Site } from './harness-daemon/site.ts';
import { type SshServer, type SshSession, startSshd } from './harness-daemon/ssh.ts';
import { until } from './harness-daemon/until.ts';

/** Figure 1: ping from anywhere, no ssh, all out; with more inbound rules if told. */
function figure1(...inbound: readonly string[]): string {
  return `version: 1
securityGroups:
  sg-a:
    inbound:
      - { protocol: icmp, icmp: echo-request, source: 0.0.0.0/0 }
      - { protocol: icmp, icmp: echo-request, source: "::/0" }
${inbound.map((rule) => `      - ${rule}\n`).join('')}    outbound:
      - { destination: any }
instances:
  host: { interfaces: { eth0: { securityGroups: [sg-a] } } }
`;
}

const SSH_FROM_ANYWHERE = '{ protocol: tcp, ports: 22, source: 0.0.0.0/0 }';

describe('a policy edited while the daemon runs', () => {
  let site: Site;
  const open: TestSocket[] = [];

  beforeAll(async () => {
    site = await createSite({ interfaces: [{ name: 'eth0' }] });
  });
  afterEach(async () => {
    for (const socket of open.splice(0)) await socket.close(true);
    await site.reset();
  });
  afterAll(async () => {
    await site?.remove();
  });

  async function listen(where: 'host' | 'peer', port: number, address: string): Promise<void> {
    const node = where === 'host' ? site.world.host : site.world.peer('eth0');
    open.push(await tcpServer(node, { address, port, mode: 'echo' }));
  }

  async function connect(from: 'host' | 'peer', port: number, timeout: number): Promise<Connection['kind']> {
    const { host, peer } = site.world.link('eth0');
    const node = from === 'host' ? site.world.host : site.world.peer('eth0');
    const address = from === 'host' ? peer.ipv4 : host.ipv4;
    const connection = await tcpConnect(node, { address, port, timeout });
    if (connection.kind === 'connected') await connection.socket.close(true);
    return connection.kind;
  }

  async function pings(from: 'host' | 'peer', address: string): Promise<boolean> {
    const node = from === 'host' ? site.world.host : site.world.peer('eth0');
    return (await site.world.exec(node, ['ping', '-c1', '-W1', address], { reject: false })).exitCode === 0;
  }

  test('figure 1: ping is answered, ssh is not, the host reaches out; ssh opens within a second of the edit', async () => {
    const { host, peer } = site.world.link('eth0');
    await listen('host', 22, host.ipv4);
    await listen('host', 23, host.ipv4);
    await listen('peer', 443, peer.ipv4);
    replaceFile(site.policyFile, figure1());
    const daemon = await site.start();
    expect(await pings('peer', host.ipv4)).toBe(true);
    expect(await pings('peer', host.ipv6)).toBe(true);
    expect(await connect('peer', 22, 300)).toBe('failed');
    expect(await connect('host', 443, 2_000)).toBe('connected');
    expect(await pings('host', peer.ipv4)).toBe(true);

    const began = performance.now();
    replaceFile(site.policyFile, figure1(SSH_FROM_ANYWHERE));
    await until('ssh is open', async () => (await connect('peer', 22, 100)) === 'connected');
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(await connect('peer', 23, 300)).toBe('failed');
    expect(await pings('peer', host.ipv4)).toBe(true);
    expect((await daemon.status()).inForce?.generation).toBe(2);

    replaceFile(site.policyFile, figure1());
    await daemon.until('the rule is gone', reached(3));
    expect(await connect('peer', 22, 300)).toBe('failed');
    expect(daemon.log.filter(({ msg }) => msg === 'secgroupd starts')).toHaveLength(1);
  });

  test('without outbound rules the host reaches nobody, and still answers whom it lets in', async () => {
    const { host, peer } = site.world.link('eth0');
    await listen('host', 22, host.ipv4);
    await listen('peer', 443, peer.ipv4);
    replaceFile(
      site.policyFile,
      figure1(SSH_FROM_ANYWHERE).replace('{ destination: any }', '{ destination: 192.0.2.1 }'),
    );
    await site.start();
    expect(await connect('host', 443, 300)).toBe('failed');
    expect(await pings('host', peer.ipv4)).toBe(false);
    expect(await connect('peer', 22, 2_000)).toBe('connected');
    expect(await pings('peer', host.ipv4)).toBe(true);
  });
});

describe('real ssh sessions', () => {
  const FIRST = '10.77.0.2';
  const SECOND = '10.77.0.3';
  const from = (source: string): string => `{ protocol: tcp, ports: 22, source: ${source} }`;
  let site: Site;
  let server: SshServer;
  const sessions: SshSession[] = [];

  beforeAll(async () => {
    site = await createSite({ interfaces: [{ name: 'eth0' }] });
    const peer = site.world.peer('eth0');
    await site.world.exec(peer, ['ip', 'address', 'add', `${SECOND}/24`, 'dev', 'eth0', 'noprefixroute']);
    server = await startSshd(site.world.host, site.world.link('eth0').host.ipv4, site.directory);
  });
  afterAll(async () => {
    for (const session of sessions) await session.end();
    await server?.stop();
    await site?.remove();
  });

  async function login(source: string, seconds = 10): Promise<SshSession | undefined> {
    const session = await server.connect(site.world.peer('eth0'), source, seconds);
    if (session !== undefined) sessions.push(session);
    return session;
  }

  /** How many segments of the sessions from this source had to be sent again, by either end. */
  async function sentAgain(source: string): Promise<number> {
    const client = await site.world.exec(site.world.peer('eth0'), ['ss', '-tinH', 'src', source]);
    const host = await site.world.exec(site.world.host, ['ss', '-tinH', 'dst', source]);
    const sockets = [client.stdout, host.stdout];
    for (const text of sockets) expect(text).toContain('segs_out:');
    return sockets
      .flatMap((text) => [...text.matchAll(/retrans:\d+\/(\d+)/g)])
      .reduce((sum, [, count]) => sum + Number(count), 0);
  }

  test('the session whose rule is deleted dies, the other does not notice; a new login works after the rule is back', async () => {
    replaceFile(site.policyFile, figure1(from(FIRST), from(SECOND)));
    const daemon = await site.start();
    const [first, second] = [await login(FIRST), await login(SECOND)];
    if (first === undefined || second === undefined) throw new Error('a login failed');
    expect(await first.echoes(2_000)).toBe(true);
    const before = await sentAgain(SECOND);

    replaceFile(site.policyFile, figure1(from(SECOND)));
    let reloaded = false;
    const reload = daemon.until('the rule is gone', reached(2)).finally(() => {
      reloaded = true;
    });
    let echoes = 0;
    while (!reloaded || echoes < 20) {
      expect(await second.echoes(5_000)).toBe(true);
      echoes += 1;
    }
    await reload;
    expect(await first.echoes(1_000)).toBe(false);
    expect(await second.echoes(5_000)).toBe(true);
    // TCP would hide a lost segment behind a second one.
    expect(await sentAgain(SECOND)).toBe(before);
    expect(await login(FIRST, 1)).toBeUndefined();

    replaceFile(site.policyFile, figure1(from(FIRST), from(SECOND)));
    await daemon.until('the rule is back', reached(3));
    expect(await login(FIRST)).toBeDefined();
    expect(await second.echoes(5_000)).toBe(true);
    expect(await sentAgain(SECOND)).toBe(before);
  });
});
