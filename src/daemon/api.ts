import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { z } from 'zod';
import { groupId } from '../host/group-id.ts';
import type { History } from '../host/history.ts';
import type { LogEntry } from '../model/packet-account.ts';
import { type Holding, HoldingRefused } from './holding.ts';
import type { PacketRecords } from './packet-records.ts';
import { formatMetrics } from './metrics.ts';
import type { PolicyTexts } from '../model/policy-texts.ts';
import { CONTROL_GROUP, CONTROL_SOCKET, READING_GROUP, READING_SOCKET } from '../model/socket-names.ts';
import type { Status } from '../model/status.ts';

/** What the socket offers. */
export interface ApiHandlers {
  readonly status: () => Status;
  /** The status, with what has to be looked for in the kernel first. */
  readonly fullStatus: () => Promise<Status>;
  /** The policy in force; undefined where nothing is, or nobody knows what it says. */
  readonly policy: () => PolicyTexts | undefined;
  /** Reads everything anew and answers when it is in force or refused. */
  readonly reload: () => Promise<void>;
  /** Removes the rules. */
  readonly clear: () => Promise<void>;
  readonly history: Pick<History, 'list' | 'read'>;
  readonly records: Pick<PacketRecords, 'stats' | 'log' | 'follow'>;
  readonly holding: Pick<Holding, 'tryOut' | 'confirm' | 'rollback' | 'endTrial'>;
}

/** Another daemon answers on the socket. */
export class AlreadyRunning extends Error {
  override readonly name = 'AlreadyRunning';
}

/**
 * Serves HTTP and JSON on two unix sockets in `directory`: one that does everything, for root and the control group, and
 * one that only answers, for the reading group too. Who may speak is the kernel's to say, by the sockets' owner, group
 * and mode: it knows all groups of who connects, and asks before the daemon hears of it.
 * Throws AlreadyRunning where another daemon serves there; a socket that nobody serves is replaced.
 */
export async function serveApi(directory: string, handlers: ApiHandlers): Promise<{ close(): Promise<void> }> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const control = join(directory, CONTROL_SOCKET);
  if (await answers(control)) throw new AlreadyRunning(`another secgroupd serves ${control}`);
  const servers = [
    await serve({ path: control, group: CONTROL_GROUP, mayChange: true }, handlers),
    await serve({ path: join(directory, READING_SOCKET), group: READING_GROUP, mayChange: false }, handlers),
  ];
  return {
    async close() {
      await Promise.all(servers.map(closeServer));
    },
  };
}

interface Door {
  readonly path: string;
  readonly group: string;
  /** Whether calls that change something are answered. */
  readonly mayChange: boolean;
}

async function serve({ path, group, mayChange }: Door, handlers: ApiHandlers): Promise<Server> {
  await rm(path, { force: true });
  const server = createServer((incoming, response) => {
    answer({ incoming, response, handlers, mayChange }).catch((error: unknown) => {
      send(response, statusOf(error), { error: error instanceof Error ? error.message : String(error) });
    });
  });
  // A client that never finishes its request holds a connection, not the daemon.
  server.requestTimeout = 10_000;
  server.maxConnections = 64;
  await listen(server, path);
  // INVARIANT: the group before the mode, so that no other group is let in for a moment.
  const id = await groupId(group);
  if (id !== undefined) await chown(path, process.geteuid?.() ?? 0, id).catch(() => undefined);
  await chmod(path, 0o660);
  return server;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function statusOf(error: unknown): number {
  if (error instanceof Forbidden) return 403;
  if (error instanceof BadRequest) return 400;
  return error instanceof HoldingRefused ? 409 : 500;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket is made within this call; until it has its group, it is the owner's alone.
    const mask = process.umask(0o177);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
    process.umask(mask);
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request({ socketPath: path, path: '/v1/status', timeout: 1_000 }, (response) => {
      response.resume();
      resolve(true);
    });
    // A daemon too busy to answer within the second is a daemon all the same.
    probe.once('timeout', () => {
      resolve(true);
      probe.destroy();
    });
    probe.once('error', () => resolve(false));
    probe.end();
  });
}

interface Call {
  readonly incoming: IncomingMessage;
  readonly response: ServerResponse;
  readonly handlers: ApiHandlers;
  readonly mayChange: boolean;
}

const CALLS = [
  'GET /v1/status',
  'GET /v1/policy',
  'GET /v1/history',
  'GET /v1/history/NUMBER',
  'GET /v1/stats',
  'GET /v1/log',
  'GET /v1/log/follow',
  'POST /v1/reload',
  'POST /v1/clear',
  'POST /v1/try',
  'POST /v1/confirm',
  'POST /v1/rollback',
  'GET /metrics',
];

async function answer({ incoming, response, handlers, mayChange }: Call): Promise<void> {
  if (!mayChange && incoming.method !== 'GET')
    throw new Forbidden(`${READING_SOCKET} only answers questions: for more be root or of the group ${CONTROL_GROUP}`);
  const call = `${incoming.method ?? ''} ${incoming.url ?? ''}`;
  const body = await readBody(incoming, mayChange ? LONGEST_BODY : LONGEST_QUESTION);
  switch (call) {
    case 'GET /v1/status':
      send(response, 200, await handlers.fullStatus());
      return;
    case 'GET /v1/policy':
      send(response, 200, { policy: handlers.policy() ?? null, inForce: handlers.status().inForce });
      return;
    case 'GET /v1/history':
      send(response, 200, { versions: await handlers.history.list() });
      return;
    case 'GET /v1/stats':
      send(response, 200, { stats: (await handlers.records.stats()) ?? null });
      return;
    case 'GET /v1/log':
      send(response, 200, { entries: handlers.records.log() });
      return;
    case 'GET /v1/log/follow':
      follow(response, handlers.records);
      return;
    case 'GET /metrics':
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(formatMetrics(handlers.status()));
      return;
    case 'POST /v1/reload':
      await handlers.reload();
      send(response, 200, handlers.status());
      return;
    case 'POST /v1/clear':
      await handlers.clear();
      send(response, 200, handlers.status());
      return;
    case 'POST /v1/try': {
      const { policy, timeoutSeconds } = parseBody(TRY, body);
      await handlers.holding.tryOut(policy, timeoutSeconds);
      send(response, 200, handlers.status());
      return;
    }
    case 'POST /v1/confirm':
      send(response, 200, { ...(await handlers.holding.confirm()), policyFile: handlers.status().policyFile });
      return;
    case 'POST /v1/rollback': {
      const { version: wanted, trialOnly } = parseBody(ROLLBACK, body === '' ? '{}' : body);
      if (trialOnly === true) await handlers.holding.endTrial();
      else await handlers.holding.rollback(wanted);
      send(response, 200, handlers.status());
      return;
    }
  }
  const version = /^GET \/v1\/history\/([0-9]{1,8})$/.exec(call)?.[1];
  const kept = version === undefined ? undefined : await handlers.history.read(Number(version));
  if (kept !== undefined) send(response, 200, kept);
  else send(response, 404, { error: `there is no ${call}`, calls: CALLS });
}

/** One line of JSON a packet, the last ones first, for as long as somebody listens. */
function follow(response: ServerResponse, records: ApiHandlers['records']): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const write = (entry: LogEntry): void => {
    // Whoever does not read what is sent is not sent more than a buffer of it.
    if (!response.writableNeedDrain) response.write(`${JSON.stringify(entry)}\n`);
  };
  response.flushHeaders();
  for (const entry of records.log().slice(-MOST_BEFORE)) write(entry);
  const end = records.follow(write);
  response.once('close', end);
}

const MOST_BEFORE = 10;

/** The longest timeout of a trial: longer, and nobody remembers it. */
const LONGEST_TRIAL_SECONDS = 24 * 3600;

const TRY = z.strictObject({
  policy: z.strictObject({
    instance: z.string(),
    documents: z.array(z.string()).min(1),
    texts: z.record(z.string(), z.string()),
  }),
  timeoutSeconds: z.number().min(1).max(LONGEST_TRIAL_SECONDS),
});

const ROLLBACK = z.strictObject({
  version: z.int().positive().optional(),
  /** Ends a trial, and nothing else. */
  trialOnly: z.boolean().optional(),
});

class BadRequest extends Error {
  override readonly name = 'BadRequest';
}

class Forbidden extends Error {
  override readonly name = 'Forbidden';
}

function parseBody<T>(schema: z.ZodType<T>, body: string): T {
  try {
    return schema.parse(JSON.parse(body));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError)
      throw new BadRequest(`the body is not as it should be: ${error.message}`);
    throw error;
  }
}

/** A policy and its lists are no longer than the files that the daemon reads itself. */
const LONGEST_BODY = 256 * 1024 * 1024;

/** Questions have none. */
const LONGEST_QUESTION = 1_024;

async function readBody(incoming: IncomingMessage, longest: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > longest) throw new BadRequest('the body is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body, null, 2)}\n`);
}
