import { chmod, chown, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { errorText } from '#core/diagnostics/error-text.ts';
import { groupId } from '#host/group-id.ts';
import { MAX_HEAD_BYTES, OneRequest } from './one-request.ts';

/** A unix socket, and who may connect to it. */
export interface ListenSocketOptions {
  readonly path: string;
  readonly group: string;
  /** Must not throw. */
  readonly onCall: (call: Call) => void;
  /** Called if the socket cannot be given to the group, so that its members cannot connect; with the reason. */
  readonly onInaccessible: (reason: string) => void;
}

/** A request, and what its connection waits for, so that no client blocks others. */
export interface Call {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  /** Lets in a body of `bytes`: 0 for none, Infinity for an unknown length. */
  readonly expectBody: (bytes: number) => void;
  /** Waits for the client to read what was sent; each call extends its time. */
  readonly awaitReader: () => void;
  /** Stops waiting for the client: its answer is being made, or lasts as long as the client likes. */
  readonly awaitNothing: () => void;
}

/** A unix socket that the daemon serves. */
export interface ListenSocket {
  close(): Promise<void>;
}

/** Beyond this, the connection whose client has kept us waiting longest is closed. */
const MAX_CONNECTIONS = 64;

/** Connections that wait in the kernel: accepting all of them in a row must be quick. */
const MAX_BACKLOG = 128;

/** How long a client may take to send a question, or to read the next piece of an answer. */
const MAX_WAIT_MILLISECONDS = 10_000;

/** How long sending a body or reading an answer may take, such as a policy with big lists. */
const MAX_TRANSFER_MILLISECONDS = 60_000;

/** Serves a unix socket, one request a connection, and replaces an existing file. Throws what listening throws. */
export async function openListenSocket({
  path,
  group,
  onCall,
  onInaccessible,
}: ListenSocketOptions): Promise<ListenSocket> {
  await rm(path, { force: true });
  const connections = new Map<unknown, Connection>();
  const http = createHttpServer({ maxHeaderSize: MAX_HEAD_BYTES }, (incoming, response) => {
    const connection = connections.get(incoming.socket);
    if (connection === undefined) incoming.destroy();
    else onCall(connection.call(incoming, response));
  });
  // Another request can follow a body of unknown length: node:http refuses it.
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
  // INVARIANT: the group before the mode, so that no other group can connect for a moment.
  const id = await groupId(group);
  if (id !== undefined)
    await chown(path, process.geteuid?.() ?? 0, id).catch((error: unknown) => onInaccessible(errorText(error)));
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
  /** Since when we wait for the client; undefined while we do not. */
  waitingSince: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the whole answer has to be read, however slowly. */
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

/** Closes the connection whose client has kept us waiting longest; false if no client does. */
function makeRoom(connections: Map<unknown, Connection>): boolean {
  let longest: Connection | undefined;
  for (const connection of connections.values()) {
    const { waitingSince = Number.POSITIVE_INFINITY } = connection;
    if (waitingSince < (longest?.waitingSince ?? Number.POSITIVE_INFINITY)) longest = connection;
  }
  if (longest === undefined) return false;
  connections.delete(longest.stream);
  longest.stream.destroy();
  return true;
}

function refuse(socket: Socket): void {
  const body = `${JSON.stringify({ error: `${MAX_CONNECTIONS} other clients are being served: ask again in a moment` })}\n`;
  const head = ['HTTP/1.1 503 Service Unavailable', 'content-type: application/json', 'retry-after: 1'];
  const headers = [...head, `content-length: ${Buffer.byteLength(body)}`, 'connection: close'];
  socket.on('error', () => undefined);
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // This call creates the socket; until it has its group, only the owner can connect.
    const mask = process.umask(0o177);
    server.listen({ path, backlog: MAX_BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
    process.umask(mask);
  });
}
