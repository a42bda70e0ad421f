import type { Node } from './world.ts';

/** How much a socket sent or received; `last` is when, in milliseconds of CLOCK_MONOTONIC, or null before the first. */
export interface Traffic {
  readonly bytes: number;
  /** Datagrams of UDP; reads or writes of TCP. */
  readonly messages: number;
  readonly last: number | null;
}

/** What a server, over all its connections, or a client has to tell. */
export interface SocketStatus {
  readonly received: Traffic;
  readonly sent: Traffic;
  /** Connections a TCP server took so far. */
  readonly accepted: number;
  /** Sockets still open, a TCP server's listening one not counted. */
  readonly open: number;
  /** The name of the last error (`ECONNRESET`), or null. */
  readonly error: string | null;
}

/**
 * What a socket does of its own accord: `silent` only reads; `echo` returns what it gets; `chatty` writes `size` bytes
 * every `interval` ms to each connection; `push`, for UDP servers, does so to each address that a datagram came from.
 */
export interface Behavior {
  readonly mode?: 'silent' | 'echo' | 'chatty' | 'push';
  /** Milliseconds, 10 unless told. */
  readonly interval?: number;
  /** Bytes, 32 unless told. */
  readonly size?: number;
}

/** Where a server listens; port 0 is any. A link-local address carries its zone: `fe80::1%eth0`. */
export interface ServerSpec extends Behavior {
  readonly address: string;
  readonly port: number;
}

/** Whom a client talks to, and from where; the kernel chooses what is absent. */
export interface ClientSpec extends Behavior {
  readonly address: string;
  readonly port: number;
  readonly source?: string;
  readonly sourcePort?: number;
  readonly device?: string;
  /** Milliseconds a TCP client waits for its connection; 1,000 unless told. */
  readonly timeout?: number;
}

/** A server or client at work in a namespace. */
export interface TestSocket {
  /** The local port. */
  readonly port: number;
  status(): Promise<SocketStatus>;
  /** Writes `size` bytes, once, to each partner. */
  write(size: number): Promise<SocketStatus>;
  /** Ends it; by a TCP reset if asked, else as programs usually do. Returns the last status. */
  close(reset?: boolean): Promise<SocketStatus>;
}

/** How an attempt to connect ended; `reason` is an error's name: ETIMEDOUT, ECONNREFUSED, ... */
export type Connection =
  | { readonly kind: 'connected'; readonly socket: TestSocket }
  | { readonly kind: 'failed'; readonly reason: string };

interface Opened {
  readonly handle: number;
  readonly port: number;
}

/** A TCP server at this node. */
export async function tcpServer(node: Node, spec: ServerSpec): Promise<TestSocket> {
  return testSocket(node, await node.agent.request<Opened>('tcp-server', { ...spec }));
}

/** A UDP server at this node. */
export async function udpServer(node: Node, spec: ServerSpec): Promise<TestSocket> {
  return testSocket(node, await node.agent.request<Opened>('udp-server', { ...spec }));
}

/** A UDP client at this node; it sends nothing before it is told to, unless chatty. */
export async function udpClient(node: Node, spec: ClientSpec): Promise<TestSocket> {
  return testSocket(node, await node.agent.request<Opened>('udp-client', { ...spec }));
}

/** Connects from this node by TCP; a connection that does not come about is an outcome, not an error. */
export async function tcpConnect(node: Node, spec: ClientSpec): Promise<Connection> {
  const outcome = await node.agent.request<
    ({ readonly connected: true } & Opened) | { readonly connected: false; readonly reason: string }
  >('tcp-client', { timeout: 1_000, ...spec });
  return outcome.connected
    ? { kind: 'connected', socket: testSocket(node, outcome) }
    : { kind: 'failed', reason: outcome.reason };
}

/** Now, on the clock of `Traffic.last`. */
export function monotonicMilliseconds(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function testSocket({ agent }: Node, { handle, port }: Opened): TestSocket {
  return {
    port,
    status: async () => await agent.request('status', { handle }),
    write: async (size) => await agent.request('write', { handle, size }),
    close: async (reset = false) => await agent.request('close', { handle, reset }),
  };
}
