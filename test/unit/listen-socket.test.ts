import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Call, type ListenSocket, openListenSocket } from '#daemon/serve/listen-socket.ts';

const directory = mkdtempSync(join(tmpdir(), 'secgroupd-socket-'));
const path = join(directory, 'socket');
const QUESTION = 'GET /question HTTP/1.1\r\nHost: x\r\n\r\n';

let server: ListenSocket;
let calls: Call[] = [];
let onCall: (call: Call) => void = () => undefined;
const clients: Socket[] = [];

beforeEach(async () => {
  calls = [];
  onCall = answer;
  server = await openListenSocket({
    path,
    group: 'no-such-group',
    onCall: (call) => {
      calls.push(call);
      onCall(call);
    },
    onInaccessible: () => undefined,
  });
});

afterEach(async () => {
  vi.useRealTimers();
  for (const client of clients.splice(0)) client.destroy();
  await server.close();
  rmSync(path, { force: true });
});

/** As the daemon answers a question. */
function answer({ incoming, response, expectBody, awaitReader }: Call): void {
  expectBody(Number(incoming.headers['content-length'] ?? 0));
  const chunks: Buffer[] = [];
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
  incoming.on('end', () => {
    awaitReader();
    response.end(`${incoming.url} ${Buffer.concat(chunks).toString('utf8')}`);
  });
}

interface Client {
  readonly socket: Socket;
  /** All that was received once the connection has ended. */
  readonly received: Promise<string>;
}

function open(text: string): Promise<Client> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.write(text);
      resolve({ socket, received });
    });
    clients.push(socket);
    let all = '';
    const received = new Promise<string>((end) => {
      socket.on('data', (chunk: Buffer) => {
        all += chunk.toString('utf8');
      });
      socket.on('error', () => undefined);
      socket.once('close', () => end(all));
    });
  });
}

async function calledTimes(times: number): Promise<void> {
  await vi.waitFor(() => expect(calls).toHaveLength(times));
}

describe('a connection', () => {
  test('is answered one question, whatever is sent behind it, and ended', async () => {
    const { received } = await open(QUESTION.repeat(50));
    const text = await received;
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*connection: close\r\n[^]*\/question /i);
    expect(calls).toHaveLength(1);
  });

  test('may send its question in pieces, and a body', async () => {
    const { socket, received } = await open('POST /a HTTP/1.1\r\nHost: x\r\nContent-Le');
    socket.write('ngth: 200000\r\n\r');
    socket.write(`\n${'x'.repeat(100_000)}`);
    socket.write(`${'y'.repeat(100_000)}${QUESTION}`);
    const text = await received;
    expect(text.endsWith(`\r\n\r\n/a ${'x'.repeat(100_000)}${'y'.repeat(100_000)}`)).toBe(true);
    expect(calls).toHaveLength(1);
  });

  test('that asks what no question holds is refused', async () => {
    const { received } = await open(`GET /a HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    expect(await received).toMatch(/^HTTP\/1\.1 431 /);
    expect(calls).toHaveLength(0);
  });

  test('whose client is gone ends what is done for it', async () => {
    const gone = new Promise<void>((resolve) => {
      onCall = ({ response, expectBody, awaitNothing }) => {
        expectBody(0);
        awaitNothing();
        response.once('close', resolve);
      };
    });
    const { socket } = await open(QUESTION);
    await calledTimes(1);
    socket.destroy();
    await gone;
  });

  test('that never finishes its question is ended after ten seconds', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    let isEnded = false;
    const { received } = await open('GET /question HTT');
    void received.then(() => {
      isEnded = true;
    });
    await vi.waitFor(() => expect(vi.getTimerCount()).toBeGreaterThan(0));
    vi.advanceTimersByTime(9_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isEnded).toBe(false);
    vi.advanceTimersByTime(1_000);
    expect(await received).toBe('');
  });
});

describe('of more connections than there is room for', () => {
  test('the one whose client has let us wait for longest gives way', async () => {
    const idle = [];
    for (let i = 0; i < 64; i += 1) idle.push(await open('GET /question HTT'));
    const { received } = await open(QUESTION);
    expect(await received).toMatch(/^HTTP\/1\.1 200 /);
    expect(await idle[0]?.received).toBe('');
    expect(idle[1]?.socket.destroyed).toBe(false);
  });

  test('the last is told so, where all are being answered', async () => {
    onCall = ({ expectBody, awaitNothing }) => {
      expectBody(0);
      awaitNothing();
    };
    for (let i = 0; i < 64; i += 1) await open(QUESTION);
    await calledTimes(64);
    const { received } = await open(QUESTION);
    expect(await received).toMatch(
      /^HTTP\/1\.1 503 [^]*retry-after: 1\r\n[^]*"error":"64 other clients are being served/,
    );
    expect(calls).toHaveLength(64);
  });
});

test('nobody but owner and group may speak', () => {
  expect(statSync(path).mode & 0o777).toBe(0o660);
});
