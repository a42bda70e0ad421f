import { chmod, chown, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { groupId } from '#host/group-id.ts';
import { MAX_HEAD_BYTES, OneRequest } from './one-request.ts';

/** A unix socket, and who may speak there. */
export interface DoorSpec {
  readonly path: string;
  readonly group: string;
  /** Must not throw. */
  readonly onCall: (call: Call) => void;
  /** The group cannot be given the socket, so that its members are shut out: why. */
  readonly onShut: (reason: string) => void;
}

/** A request, and what its connection is to wait for, so that none stands in the way of others. */
export interface Call {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  /** Lets a body of so many bytes in, 0 for none, Infinity for one whose length nobody knows. */
  readonly expectBody: (bytes: number) => void;
  /** The client is to read what was sent: each call gives it some time more. */
  readonly awaitReader: () => void;
  /** Nothing is up to the client: its answer is being made, or goes on for as long as the client likes. */
  readonly awaitNothing: () => void;
}

/** A socket that is served. */
export interface Door {
  close(): Promise<void>;
}

/** Of more connections, the one whose client has let us wait for longest gives way. */
const MAX_CONNECTIONS = 64;

/** Connections that wait in the kernel: to accept all of them in a row must not take long. */
const MAX_BACKLOG = 128;

/** How long a client may take to send a question, or to read the next piece of an answer. */
const MAX_WAIT_MILLISECONDS = 10_000;

/** How long sending a body may take, or reading an answer, as a policy with big lists. */
const MAX_TRANSFER_MILLISECONDS = 60_000;

/** Serves a unix socket, one request a connection. A file that is there is replaced. Throws what listening throws. */
export async function openDoor({ path, group, onCall, onShut }: DoorSpec): Promise<Door> {
  await rm(path, { force: true });
  const connections = new Map<unknown, Connection>();
  const http = createHttpServer({ maxHeaderSize: MAX_HEAD_BYTES }, (incoming, response) => {
    const connection = connections.get(incoming.socket);
    if (connection === undefined) incoming.destroy();
    else onCall(connection.call(incoming, response));
  });
  // Where a body's length is not known, another request may come through behind it: node:http refuses that.
  http.maxRequestsPerSocket = 1;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (connections.size >= MAX_CONNECTIONS && !makeRoom(connections)) {
      refuse(socket);
      return;
    }
    const stream = new OneRequest(socket);
    const connection = new Connection(stream);
    connections.set(stream, connection);
    stream.once('close', () => {
      connection.awaitNothing();
      connections.delete(stream);
    });
    http.emit('connection', stream);
  });
  await listen(server, path);
  // INVARIANT: the group before the mode, so that no other group is let in for a moment.
  const id = await groupId(group);
  if (id !== undefined)
    await chown(path, process.geteuid?.() ?? 0, id).catch((error: unknown) =>
      onShut(error instanceof Error ? error.message : String(error)),
    );
  await chmod(path, 0o660);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const { stream } of connections.values()) stream.destroy();
      }),
  };
}

class Connection {
  readonly stream: OneRequest;
  /** Since when its client is waited for; undefined while it is not. */
  waitingSince: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the answer has to be read, however little at a time. */
  #readBy: number | undefined;

  constructor(stream: OneRequest) {
    this.stream = stream;
    this.#awaitClient(MAX_WAIT_MILLISECONDS);
  }

  call(incoming: IncomingMessage, response: ServerResponse): Call {
    response.setHeader('connection', 'close');
    return {
      incoming,
      response,
      expectBody: (bytes) => {
        this.stream.expectBody(bytes);
        if (bytes > 0) this.#awaitClient(MAX_TRANSFER_MILLISECONDS);
      },
      awaitReader: () => {
        this.#readBy ??= performance.now() + MAX_TRANSFER_MILLISECONDS;
        this.#awaitClient(Math.min(MAX_WAIT_MILLISECONDS, Math.max(0, this.#readBy - performance.now())));
      },
      awaitNothing: () => this.awaitNothing(),
    };
  }

  awaitNothing(): void {
    clearTimeout(this.#timer);
    this.waitingSince = undefined;
  }

  #awaitClient(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.waitingSince = performance.now();
    this.#timer = setTimeout(() => this.stream.destroy(), milliseconds).unref();
  }
}

/** Ends the connection whose client has let us wait for longest; false where no client does. */
function makeRoom(connections: Map<unknown, Connection>): boolean {
  let longest: Connection | undefined;
  for (const one of connections.values())
    if (one.waitingSince !== undefined && one.waitingSince < (longest?.waitingSince ?? Number.POSITIVE_INFINITY))
      longest = one;
  if (longest === undefined) return false;
  connections.delete(longest.stream);
  longest.stream.destroy();
  return true;
}

function refuse(socket: Socket): void {
  const body = `${JSON.stringify({ error: `${MAX_CONNECTIONS} others are being answered: ask again in a moment` })}\n`;
  const head = ['HTTP/1.1 503 Service Unavailable', 'content-type: application/json', 'retry-after: 1'];
  const headers = [...head, `content-length: ${Buffer.byteLength(body)}`, 'connection: close'];
  socket.on('error', () => undefined);
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket is made within this call; until it has its group, it is the owner's alone.
    const mask = process.umask(0o177);
    server.listen({ path, backlog: MAX_BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
    process.umask(mask);
  });
}
