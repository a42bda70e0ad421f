import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { type TestSocket, tcpConnect, tcpServer, udpClient, udpServer } from './harness/sockets.ts';
import type { DaemonProcess } from './harness-daemon/daemon.ts';
import { mounting, reached, replaceFile, type Site, useSite } from './harness-daemon/site.ts';
import { until } from './harness-daemon/until.ts';
import {
  arrivesWhole,
  CARRIERS,
  carries,
  closeFlows,
  endOf,
  type Flow,
  OUTBOUND,
  type Outbound,
  openFlow,
  pause,
  received,
  talking,
} from './scenario.ts';

/*
 * Once the rules deny a flow that they let in before, its client is not heard again, whatever conntrack forgets and
 * whoever speaks first; what the host opened by itself lives on. conntrack is made to forget as it does in life, only
 * sooner.
 */

let site: Site;

useSite((made) => {
  site = made;
});

afterEach(async () => {
  await closeFlows();
});

/** Well known, unprivileged, from where hosts open flows by default, and from where the registry says. */
const PORTS = [80, 8_080, 40_000, 49_152] as const;
const KEPT = 7_000;
const KEPT_FLOWS = 20;

/** Lets everyone reach these ports and those of the flows that are kept. */
function policy(ports: readonly number[], outbound: Outbound = 'open'): string {
  const kept = `${KEPT}-${KEPT + KEPT_FLOWS - 1}`;
  const inbound = ['tcp', 'udp'].map((protocol) => ({ protocol, ports: [kept, ...ports], source: 'any' }));
  return `${JSON.stringify({
    version: 1,
    securityGroups: { web: { inbound, outbound: OUTBOUND[outbound] } },
    instances: { host: { interfaces: { eth0: { securityGroups: ['web'] } } } },
  })}\n`;
}

async function settings(values: Readonly<Record<string, string>>): Promise<void> {
  const named = Object.entries(values).map(([name, value]) => [`net/netfilter/nf_conntrack_${name}`, value]);
  await site.world.host.agent.request('settings', { settings: Object.fromEntries(named) });
}

/** Runs a program beside the clients. */
async function inPeer(...argv: readonly string[]): Promise<void> {
  await site.world.exec(site.world.peer('eth0'), argv);
}

async function conntrack(...words: readonly string[]): Promise<string> {
  // What finds nothing fails.
  return (await site.world.exec(site.world.host, ['conntrack', ...words], { reject: false })).stdout;
}

/** Has conntrack forget what others opened to these ports of the host. */
async function forget(ports: readonly number[]): Promise<void> {
  const each = ports.flatMap((port) =>
    CARRIERS.map(({ transport, family }) => `conntrack -D -f ${family} -p ${transport} --dport ${port}`),
  );
  // What finds nothing fails.
  await site.world.exec(site.world.host, ['sh', '-c', each.join('\n')], { reject: false });
}

/** How many flows conntrack knows as opened by the host from one of these ports. */
async function reversed(ports: readonly number[]): Promise<number> {
  const lists = await Promise.all(['ipv4', 'ipv6'].map((family) => conntrack('-L', '-f', family)));
  const froms = lists.flatMap((list) => list.split('\n').map((line) => Number(/sport=(\d+)/.exec(line)?.[1])));
  return froms.filter((port) => ports.includes(port)).length;
}

/** Has conntrack take the servers of all flows for their openers. */
async function serversSpeakFirst(flows: number): Promise<void> {
  const hook = 'add chain inet hold out { type filter hook output priority 0; }';
  const drop = `add rule inet hold out meta l4proto { tcp, udp } th dport { ${PORTS.join(', ')} } drop`;
  await inPeer('nft', `add table inet hold; ${hook}; ${drop}`);
  await forget(PORTS);
  await until('every server has spoken first', async () => (await reversed(PORTS)) === flows);
  await inPeer('nft', 'delete table inet hold');
}

async function openAll(): Promise<readonly Flow[]> {
  const { world } = site;
  return Promise.all(
    CARRIERS.flatMap((carrier) =>
      PORTS.map((port) => openFlow({ world, ...carrier, port, server: talking(carrier.transport) })),
    ),
  );
}

async function openKept(): Promise<readonly Flow[]> {
  const client = { mode: 'chatty', interval: 20 } as const;
  const carriers = Array.from({ length: KEPT_FLOWS }, (_, i) => CARRIERS[i % CARRIERS.length] ?? CARRIERS[0]);
  return Promise.all(
    carriers.flatMap((carrier, i) =>
      carrier === undefined ? [] : [openFlow({ world: site.world, ...carrier, port: KEPT + i, client })],
    ),
  );
}

const counts = (flows: readonly Flow[]): Promise<readonly number[]> =>
  Promise.all(flows.map(({ far }) => received(far)));

const remembered = (daemon: DaemonProcess, flows: number): Promise<unknown> =>
  daemon.until(`${flows} flows are revoked`, ({ revokedFlows }) => revokedFlows.remembered === flows);

/** The clients keep silent, then speak for a while. */
async function speak(flows: readonly Flow[]): Promise<void> {
  await pause(500);
  for (let i = 0; i < 10; i += 1) {
    await Promise.all(flows.map(({ near }) => near.write(10)));
    await pause(100);
  }
}

describe.each(['open', 'restricted'] as const)('outbound %s', (outbound) => {
  test('revoked clients are not heard again when conntrack has forgotten them; others lose nothing', async () => {
    replaceFile(site.policyFile, policy(PORTS, outbound));
    const daemon = await site.start();
    const [flows, kept] = [await openAll(), await openKept()];
    for (const { near, far } of flows) await carries(near, far);
    replaceFile(site.policyFile, policy([], outbound));
    await remembered(daemon, flows.length);
    const heard = await counts(flows);
    await forget(PORTS);
    await speak(flows);
    expect(await counts(flows)).toEqual(heard);
    expect(await reversed(PORTS)).toBe(0);
    for (const { near, far } of kept) await arrivesWhole(near, far);
    // The neighbour: let in again they are heard, and nothing is remembered any more.
    replaceFile(site.policyFile, policy(PORTS, outbound));
    await remembered(daemon, 0);
    for (const { near, far } of flows) await carries(near, far);
  });
});

test('revoked clients are not heard again although conntrack took the server for the opener', async () => {
  replaceFile(site.policyFile, policy(PORTS));
  const daemon = await site.start();
  const [flows, kept] = [await openAll(), await openKept()];
  await serversSpeakFirst(flows.length);
  // Allowed, they go on either way round.
  for (const { near, far } of flows) await carries(near, far);
  replaceFile(site.policyFile, policy([]));
  await remembered(daemon, flows.length);
  await until('conntrack has forgotten them', async () => (await reversed(PORTS)) === 0);
  const heard = await counts(flows);
  await speak(flows);
  expect(await counts(flows)).toEqual(heard);
  for (const { near, far } of kept) await arrivesWhole(near, far);
});

test('revoked clients are not heard again after a forged reset', async () => {
  replaceFile(site.policyFile, policy(PORTS));
  const daemon = await site.start();
  await settings({ tcp_timeout_close: '1' });
  const link = site.world.link('eth0');
  const ends = (['ipv4', 'ipv6'] as const).flatMap((family) =>
    PORTS.map((port) => [endOf(link, 'host', family), port]),
  );
  const servers = await Promise.all(
    ends.map(([address, port]) =>
      tcpServer(site.world.host, { address: String(address), port: Number(port), ...talking('tcp') }),
    ),
  );
  const client = await stubbornClient(ends.flat().map(String));
  try {
    const hear = (): Promise<readonly number[]> => Promise.all(servers.map((server) => received(server)));
    await until('all are heard', async () => (await hear()).every((bytes) => bytes > 0));
    replaceFile(site.policyFile, policy([]));
    await remembered(daemon, servers.length);
    await client.reset();
    const heard = await hear();
    // What the servers send again is further and further apart: 0.2, 0.4, 0.8, 1.6 seconds.
    await pause(4_000);
    expect(await hear()).toEqual(heard);
    // conntrack believed the resets: the flows are gone, and not there the other way round.
    expect(await reversed(PORTS)).toBe(0);
    for (const port of PORTS) expect(await conntrack('-L', '-p', 'tcp', '--dport', String(port))).toBe('');
  } finally {
    client.end();
    await settings({ tcp_timeout_close: '10' });
    await Promise.all(servers.map((server) => server.close(true)));
  }
});

test('the kernel remembers revoked flows after the table was deleted, and after the daemon was', async () => {
  replaceFile(site.policyFile, policy(PORTS));
  const daemon = await site.start();
  const flows = await openAll();
  replaceFile(site.policyFile, policy([]));
  await remembered(daemon, flows.length);
  const inKernel = async (): Promise<number> => {
    const lists = await Promise.all(
      ['ipv4', 'ipv6'].map((family) => site.nft('list', 'set', 'inet', 'secgroupd', `revoked/${family}`)),
    );
    return lists.join('').split(' expires ').length - 1;
  };
  expect(await inKernel()).toBe(flows.length);
  expect((await site.sgctl('status')).stdout).toMatch(/^revoked +16 live flows/m);
  // Entries are nobody's change, and no difference from the policy.
  expect((await daemon.status()).driftsMended).toBe(0);
  expect((await site.sgctl('verify')).exitCode).toBe(0);
  await site.nft('delete', 'table', 'inet', 'secgroupd');
  await daemon.until('the table is back', ({ driftsMended }) => driftsMended === 1);
  await until('all of them are back', async () => (await inKernel()) === flows.length);
  await daemon.stop('SIGKILL');
  const next = await site.start();
  await remembered(next, flows.length);
  const heard = await counts(flows);
  await forget(PORTS);
  await speak(flows);
  expect(await counts(flows)).toEqual(heard);
});

test('revoked clients are not heard again after a moment without the table, in which their servers spoke', async () => {
  replaceFile(site.policyFile, policy(PORTS));
  const daemon = await site.start();
  const [flows, kept] = [await openAll(), await openKept()];
  replaceFile(site.policyFile, policy([]));
  await remembered(daemon, flows.length);
  daemon.signal('SIGSTOP');
  // A table that is put back remembers nothing until its sets are filled.
  await site.nft('delete', 'table', 'inet', 'secgroupd');
  await site.nft('-f', join(site.stateDirectory, 'last-good.nft'));
  await serversSpeakFirst(flows.length);
  daemon.signal('SIGCONT');
  await daemon.until('the table is back', ({ driftsMended }) => driftsMended === 1);
  await until('conntrack has forgotten them', async () => (await reversed(PORTS)) === 0);
  const heard = await counts(flows);
  await speak(flows);
  expect(await counts(flows)).toEqual(heard);
  expect(await reversed(PORTS)).toBe(0);
  for (const { near, far } of kept) await arrivesWhole(near, far);
});

test('where nothing tells what was in force before, the next daemon makes up for one killed before its look: for TCP', async () => {
  replaceFile(site.policyFile, policy(PORTS));
  const daemon = await site.start();
  const [flows, kept] = [await openAll(), await openKept()];
  const own = await openOwn('tcp');
  replaceFile(site.policyFile, policy([]));
  await remembered(daemon, flows.length);
  await daemon.stop('SIGKILL');
  rmSync(join(site.stateDirectory, 'history'), { recursive: true });
  // As the kernel is then: the rules deny, and nothing is remembered.
  for (const family of ['ipv4', 'ipv6']) await site.nft('flush', 'set', 'inet', 'secgroupd', `revoked/${family}`);
  await serversSpeakFirst(flows.length);
  const next = await site.start();
  const tcp = flows.slice(0, flows.length / 2);
  await remembered(next, tcp.length);
  await until('conntrack has forgotten them', async () => (await reversed(PORTS)) === flows.length - tcp.length);
  const heard = await counts(tcp);
  await speak(tcp);
  expect(await counts(tcp)).toEqual(heard);
  for (const { near, far } of kept) await arrivesWhole(near, far);
  await echoes(own.clients);
  await Promise.all([...own.clients, own.server].map((socket) => socket.close(true)));
});

test('a daemon killed before it could look at the flows, its policy kept already, is made up for by the next', async () => {
  replaceFile(site.policyFile, policy(PORTS));
  const daemon = await site.start({ wrapper: mounting('true') });
  const [flows, kept] = [await openAll(), await openKept()];
  const own = await openOwn('udp');
  await serversSpeakFirst(flows.length);
  // Which sockets there are cannot be read any more.
  mkdirSync(join(site.directory, 'proc/self/net/tcp'), { recursive: true });
  const enter = ['nsenter', '--target', String(daemon.pid), '--mount'];
  await site.world.exec(site.world.host, [...enter, 'mount', '--bind', join(site.directory, 'proc'), '/proc']);
  for (const ports of [PORTS.slice(1), []]) {
    replaceFile(site.policyFile, policy(ports));
    await until('it is kept', async () => {
      const versions = JSON.parse((await site.sgctl('history', '--json')).stdout) as readonly unknown[];
      return versions.length === (ports.length === 0 ? 3 : 2);
    });
  }
  await daemon.until('looks fail', ({ revokedFlows }) => revokedFlows.trouble !== null);
  await daemon.stop('SIGKILL');
  expect(await reversed(PORTS)).toBe(flows.length);
  const next = await site.start();
  await remembered(next, flows.length);
  await until('conntrack has forgotten them', async () => (await reversed(PORTS)) === 0);
  const heard = await counts(flows);
  await speak(flows);
  expect(await counts(flows)).toEqual(heard);
  for (const { near, far } of kept) await arrivesWhole(near, far);
  await echoes(own.clients);
  await Promise.all([...own.clients, own.server].map((socket) => socket.close(true)));
});

test('what a policy takes away that was edited while the daemon was down is cut', async () => {
  replaceFile(site.policyFile, policy(PORTS));
  const daemon = await site.start();
  const [flows, kept] = [await openAll(), await openKept()];
  const own = await openOwn('udp');
  await echoes(own.clients);
  await daemon.stop('SIGKILL');
  await serversSpeakFirst(flows.length);
  replaceFile(site.policyFile, policy([]));
  const next = await site.start();
  await remembered(next, flows.length);
  await until('conntrack has forgotten them', async () => (await reversed(PORTS)) === 0);
  const heard = await counts(flows);
  await speak(flows);
  expect(await counts(flows)).toEqual(heard);
  for (const { near, far } of kept) await arrivesWhole(near, far);
  await echoes(own.clients);
  await Promise.all([...own.clients, own.server].map((socket) => socket.close(true)));
});

test('sgctl apply revokes too', async () => {
  const apply = ['apply', site.policyFile, '--instance', 'host', '--state-dir', site.stateDirectory];
  replaceFile(site.policyFile, policy(PORTS));
  expect((await site.sgctl(...apply)).exitCode).toBe(0);
  const flows = await openAll();
  replaceFile(site.policyFile, policy([]));
  expect((await site.sgctl(...apply)).exitCode).toBe(0);
  const heard = await counts(flows);
  await forget(PORTS);
  await speak(flows);
  expect(await counts(flows)).toEqual(heard);
});

/** Ports of programs that speak from below the ephemeral range, and from it. */
const FROM = [801, 20_001, 40_001] as const;
const PEER_PORT = 5_432;

async function openOwn(transport: 'tcp' | 'udp'): Promise<{ clients: readonly TestSocket[]; server: TestSocket }> {
  const { world } = site;
  const address = world.link('eth0').peer.ipv4;
  const listen = transport === 'tcp' ? tcpServer : udpServer;
  const server = await listen(world.peer('eth0'), { address, port: PEER_PORT, mode: 'echo' });
  const clients = await Promise.all(
    FROM.map(async (sourcePort) => {
      const spec = { address, port: PEER_PORT, source: world.link('eth0').host.ipv4, sourcePort };
      if (transport === 'udp') return udpClient(world.host, spec);
      const connection = await tcpConnect(world.host, spec);
      if (connection.kind === 'failed') throw new Error(connection.reason);
      return connection.socket;
    }),
  );
  return { clients, server };
}

async function echoes(clients: readonly TestSocket[]): Promise<void> {
  for (const client of clients) {
    const before = await received(client);
    await client.write(10);
    await until(`an answer to port ${client.port}`, async () => (await received(client)) === before + 10);
  }
}

describe.each(['tcp', 'udp'] as const)('what the host opened by %s', (transport) => {
  test('lives on when conntrack has forgotten it, and when inbound rules change', async () => {
    replaceFile(site.policyFile, policy(PORTS));
    const daemon = await site.start();
    const { clients, server } = await openOwn(transport);
    await echoes(clients);
    await site.world.flushConntrack();
    await echoes(clients);
    replaceFile(site.policyFile, policy([]));
    await daemon.until('the change', reached(2));
    await site.world.flushConntrack();
    await echoes(clients);
    expect((await daemon.status()).revokedFlows.remembered).toBe(0);
    await Promise.all([...clients, server].map((socket) => socket.close(true)));
  });
});

describe.each(['0', '1'])('the first start, nf_conntrack_tcp_loose=%s', (loose) => {
  afterEach(async () => {
    await settings({ tcp_loose: '1' });
  });

  test('what the rules allow goes on, whoever speaks first; what they deny is cut', async () => {
    await settings({ tcp_loose: loose });
    const tcp = CARRIERS.filter(({ transport }) => transport === 'tcp');
    const open = (port: number, interval: number): Promise<readonly Flow[]> =>
      Promise.all(
        tcp.map((carrier) => openFlow({ world: site.world, ...carrier, port, server: talking('tcp', interval) })),
      );
    const [pushing, silent, denied] = [await open(KEPT, 10), await open(KEPT + 1, 3_600_000), await open(80, 10)];
    const own = await openOwn('tcp');
    await echoes(own.clients);
    expect(await site.table()).toBe('');
    replaceFile(site.policyFile, policy([], 'restricted'));
    const daemon = await site.start();
    await remembered(daemon, denied.length);
    for (const { near } of pushing) {
      const before = await received(near);
      await until('the server that speaks is heard', async () => (await received(near)) > before + 100);
    }
    for (const { near, far } of silent) await carries(near, far);
    await echoes(own.clients);
    const heard = await counts(denied);
    await speak(denied);
    expect(await counts(denied)).toEqual(heard);
    await Promise.all([...own.clients, own.server].map((socket) => socket.close(true)));
  });
});

test('the daemon needs no more than CAP_NET_ADMIN for it', async () => {
  await settings({ tcp_loose: '0' });
  const flow = await openFlow({ world: site.world, transport: 'tcp', family: 'ipv4', port: KEPT });
  const denied = await openFlow({ world: site.world, transport: 'tcp', family: 'ipv6', port: 80 });
  replaceFile(site.policyFile, policy([]));
  await site.world.exec(site.world.host, ['chown', '-R', '65534:65534', site.directory]);
  const capability = ['--inh-caps=-all,+net_admin', '--ambient-caps=-all,+net_admin', '--bounding-set=-all,+net_admin'];
  const wrapper = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs', ...capability];
  const daemon = await site.start({ wrapper });
  await remembered(daemon, 1);
  await carries(flow.near, flow.far);
  const heard = await received(denied.far);
  await speak([denied]);
  expect(await received(denied.far)).toBe(heard);
  await settings({ tcp_loose: '1' });
});

interface StubbornClient {
  /** Has it forge resets, and waits until they are sent. */
  reset(): Promise<void>;
  end(): void;
}

async function stubbornClient(ends: readonly string[]): Promise<StubbornClient> {
  const program = fileURLToPath(new URL('harness-daemon/stubborn-client.py', import.meta.url));
  const { namespace } = site.world.peer('eth0');
  const argv = ['netns', 'exec', namespace, 'setpriv', '--pdeathsig', 'KILL', 'python3', program, ...ends];
  const child = spawn('ip', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  await until('it is connected', () => lines.includes('up'));
  return {
    async reset() {
      child.stdin.write('\n');
      await until('the resets', () => lines.includes('reset'));
    },
    end: () => void child.kill('SIGKILL'),
  };
}
