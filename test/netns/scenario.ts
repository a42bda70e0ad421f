import type { Family } from '#core/model/net/address.ts';
import type { Before, InForce } from '#core/model/nft/in-force.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { BARE_HOST, enforce, policyOf } from './enforce.ts';
import { type Behavior, type TestSocket, tcpConnect, tcpServer, udpClient, udpServer } from './harness/sockets.ts';
import type { Node, World, WorldLink } from './harness/world.ts';

/** The transport of a flow. */
export type Transport = 'tcp' | 'udp';

/** Keys of a mapping in the policy file. */
export type Keys = Readonly<Record<string, unknown>>;

/** A policy file in as many words as a test needs. The group `web` is on eth0 of the instance `host`, unless told otherwise. */
export interface PolicySpec {
  readonly inbound?: readonly Keys[];
  readonly outbound?: readonly Keys[];
  /** The groups on eth0, in order; only `web` unless told. */
  readonly groups?: readonly string[];
  /** More keys of the interface. */
  readonly link?: Keys;
  readonly platform?: Keys;
  readonly addressGroups?: Keys;
  /** More security groups and instances. */
  readonly securityGroups?: Keys;
  readonly instances?: Keys;
}

/** The outbound rules under which every state scenario is played: all that the host likes, or replies only. */
export const OUTBOUND = { open: [{ destination: 'any' }], restricted: [] } as const;

/** Whether the host may open flows of its own. */
export type Outbound = keyof typeof OUTBOUND;

/** Both transports and both families. */
export const CARRIERS: readonly { readonly transport: Transport; readonly family: Family }[] = [
  { transport: 'tcp', family: 'ipv4' },
  { transport: 'tcp', family: 'ipv6' },
  { transport: 'udp', family: 'ipv4' },
  { transport: 'udp', family: 'ipv6' },
];

/** The policy file that `spec` is short for. */
function policyText(spec: PolicySpec): string {
  const { inbound = [], outbound = [], groups = ['web'], securityGroups, instances } = spec;
  return JSON.stringify({
    version: 1,
    platform: spec.platform,
    addressGroups: spec.addressGroups,
    securityGroups: { web: { inbound, outbound }, ...securityGroups },
    instances: { host: { interfaces: { eth0: { securityGroups: groups, ...spec.link } } }, ...instances },
  });
}

/** The firewall of a world's host. */
export interface Firewall {
  /** Brings a policy into force and returns what is in force then; list files are given by name. */
  apply(spec: PolicySpec, lists?: Readonly<Record<string, string>>): Promise<InForce>;
  /** Removes our table, so that the next policy is the first. */
  remove(): Promise<void>;
}

/** Milliseconds after which what did not happen will not. */
const PATIENCE = 10_000;

/** Gives the peer more addresses. */
export async function addPeerAddresses(world: World, addresses: readonly string[]): Promise<void> {
  for (const address of addresses) {
    const length = address.includes(':') ? '128' : '32';
    const nodad = address.includes(':') ? ['nodad'] : [];
    await world.exec(world.peer('eth0'), ['ip', 'address', 'add', `${address}/${length}`, 'dev', 'eth0', ...nodad]);
  }
}

/** A firewall that has nothing in force yet. */
export function firewallOf(world: World): Firewall {
  let inForce: InForce | undefined;
  // As the daemon asks: flows that are still known have their labels.
  const beginning = async (): Promise<Before> => {
    if (inForce !== undefined) return inForce;
    const count = await world.exec(world.host, ['cat', '/proc/sys/net/netfilter/nf_conntrack_count']);
    return Number(count.stdout) === 0 ? 'untracked' : undefined;
  };
  return {
    async apply(spec, lists) {
      const located = locateHost(await policyOf(policyText(spec), lists), BARE_HOST, 'host');
      if (located.kind === 'absent') throw new Error(located.message);
      inForce = await enforce(world, located.hostPolicy, await beginning());
      return inForce;
    },
    async remove() {
      await world.nft('add table inet secgroupd\ndelete table inet secgroupd');
      inForce = undefined;
    },
  };
}

/** A server that talks all the time. */
export function talking(transport: Transport, interval = 10): Behavior {
  return { mode: transport === 'tcp' ? 'chatty' : 'push', interval };
}

/** A server that speaks when it is told to; of UDP also once, to whom it then knows. */
export function quiet(transport: Transport): Behavior {
  return transport === 'tcp' ? { mode: 'silent' } : talking('udp', 3_600_000);
}

/** A flow in use; `near` is the end that opened it. */
export interface Flow {
  readonly port: number;
  readonly near: TestSocket;
  readonly far: TestSocket;
}

/** Between whom a flow is, and what its ends do. */
export interface FlowSpec {
  readonly world: World;
  readonly transport: Transport;
  readonly family: Family;
  readonly port: number;
  /** Who opens it; the peer unless told. */
  readonly opener?: 'host' | 'peer';
  /** The address it is opened from, if not the opener's first. */
  readonly source?: string;
  /** Milliseconds to wait for the first byte, and before that for a connection; ten seconds unless told. */
  readonly patience?: number;
  /** What the end that was called does. */
  readonly server?: Behavior;
  /** What the end that calls does. */
  readonly client?: Behavior;
}

const flows: Flow[] = [];

/** Opens a flow and has data pass in its first direction; throws where it does not come about. */
export async function openFlow(spec: FlowSpec): Promise<Flow> {
  const { world, transport, family, port, opener = 'peer' } = spec;
  const called = opener === 'peer' ? world.host : world.peer('eth0');
  const caller = opener === 'peer' ? world.peer('eth0') : world.host;
  const address = endOf(world.link('eth0'), opener === 'peer' ? 'host' : 'peer', family);
  const listen = transport === 'tcp' ? tcpServer : udpServer;
  const far = await listen(called, { address, port, ...spec.server });
  let near: TestSocket | undefined;
  try {
    near = await call(caller, { ...spec, address });
    await near.write(1);
    await until(`the first byte to port ${port}`, async () => (await received(far)) >= 1, spec.patience);
    const flow = { port, near, far };
    flows.push(flow);
    return flow;
  } catch (error) {
    await Promise.all([near?.close(true), far.close(true)]);
    throw error;
  }
}

async function call(caller: Node, spec: FlowSpec & { readonly address: string }): Promise<TestSocket> {
  const { transport, address, port, source, client, patience: timeout = PATIENCE } = spec;
  const from = source === undefined ? {} : { source };
  const to = { address, port, timeout, ...from, ...client };
  if (transport === 'udp') return await udpClient(caller, to);
  const connection = await tcpConnect(caller, to);
  if (connection.kind === 'failed') throw new Error(`no connection to port ${port}: ${connection.reason}`);
  return connection.socket;
}

/** Ends all flows at once, so that nothing of them is sent again; for after each test. */
export async function closeFlows(): Promise<void> {
  const sockets = flows.splice(0).flatMap(({ near, far }) => [near, far]);
  // One that the test has closed itself is gone.
  await Promise.allSettled(sockets.map(async (socket) => await socket.close(true)));
}

/** An end's address. */
export function endOf(link: WorldLink, end: 'host' | 'peer', family: Family): string {
  return link[end][family];
}

/** How many bytes a socket has read, all that had reached it before the call included. */
export async function received(socket: TestSocket): Promise<number> {
  // An agent that has data and a request waiting may answer the request first; not so the request after it.
  await socket.status();
  return (await socket.status()).received.bytes;
}

/** Waits until `holds`; throws when it does not within ten seconds, or as told, with what was waited for. */
export async function until(what: string, holds: () => Promise<boolean>, milliseconds = PATIENCE): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await pause(10);
  }
}

/** Lets time go by. */
export async function pause(milliseconds: number): Promise<void> {
  await new Promise((done) => setTimeout(done, milliseconds));
}

/** Whether what `from` writes now gets to `to`, when it is given long enough (ten seconds); throws where it does not. */
export async function carries(from: TestSocket, to: TestSocket, what = 'data on its way'): Promise<void> {
  const before = await received(to);
  await from.write(100);
  await until(what, async () => (await received(to)) >= before + 100);
}

/**
 * How many bytes of what `from` writes, and of what it says by itself meanwhile, get to `to`
 * in the time that takes `gauge`, a flow that works, to carry some, and in a while more.
 */
export async function leaks(from: TestSocket, to: TestSocket, gauge: Flow, milliseconds = 250): Promise<number> {
  const before = await received(to);
  await from.write(100);
  await carries(gauge.near, gauge.far, 'the gauge, inbound');
  await carries(gauge.far, gauge.near, 'the gauge, outbound');
  await pause(milliseconds);
  return (await received(to)) - before;
}

/** Ends `from` and waits until `to` has every byte it sent, of UDP every datagram; throws where one is lost or was refused. */
export async function arrivesWhole(from: TestSocket, to: TestSocket): Promise<void> {
  await until('something said', async () => (await from.status()).sent.messages >= 20);
  const { sent, error } = await from.close();
  if (error !== null) throw new Error(`a socket was told ${error}`);
  await until('every byte that was sent', async () => (await received(to)) === sent.bytes);
  await to.close(true);
}

/** The counters of /proc/net/snmp and snmp6 in a namespace, by `Tcp.RetransSegs`, `Icmp6InEchos`. */
export async function counters(world: World, node: Node): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await world.exec(node, ['cat', '/proc/net/snmp', '/proc/net/snmp6']);
  const found = new Map<string, number>();
  let names: readonly string[] = [];
  for (const line of stdout.split('\n')) {
    const [first = '', ...rest] = line.trim().split(/\s+/);
    if (!first.endsWith(':')) found.set(first, Number(rest[0]));
    else if (Number.isNaN(Number(rest[0]))) names = rest;
    else for (const [i, value] of rest.entries()) found.set(`${first.slice(0, -1)}.${names[i]}`, Number(value));
  }
  return found;
}
