import { mkdir } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { z } from 'zod';
import type { History } from '#host/state/history.ts';
import type { LogEntry } from '#core/model/packet/packet-account.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { CONTROL_GROUP, CONTROL_SOCKET, READING_GROUP, READING_SOCKET } from '#api/socket-names.ts';
import type { Status } from '#api/status.ts';
import { type Call, type Door, openDoor } from './door.ts';
import { type Holding, HoldingRefused } from '#daemon/reconcile/holding.ts';
import { jsonWithTexts, lengthOf, longTexts, sendPieces } from './long-answer.ts';
import { formatMetrics } from './metrics.ts';
import type { PacketRecords } from './packet-records.ts';
import { createSharedAnswers, type SharedAnswers } from './shared-answers.ts';
import { createTurns, type Turns } from '#daemon/reconcile/turns.ts';

/** What the socket offers. */
export interface ApiHandlers {
  readonly status: () => Status;
  /** Another number after each change of what is enforced, and of others' tables. */
  readonly revision: () => number;
  /** The status, with what has to be looked for in the kernel first. */
  readonly fullStatus: () => Promise<Status>;
  /** The policy in force; undefined where nothing is, or nobody knows what it says. */
  readonly policy: () => PolicyTexts | undefined;
  /** Reads everything anew and answers when it is in force or refused. */
  readonly reload: () => Promise<void>;
  /** Removes the rules. */
  readonly clear: () => Promise<void>;
  readonly history: Pick<History, 'list' | 'open'>;
  readonly records: Pick<PacketRecords, 'stats' | 'log' | 'follow'>;
  readonly holding: Pick<Holding, 'tryOut' | 'confirm' | 'rollback' | 'endTrial'>;
  /** Members of `group` cannot speak on the socket at `path`, which is theirs: why. */
  readonly onShut: (path: string, group: string, reason: string) => void;
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
  if (await isServed(control)) throw new AlreadyRunning(`another secgroupd serves ${control}`);
  const answers = createSharedAnswers<Answer>({ revision: handlers.revision, now: () => performance.now() });
  const turns = createTurns();
  const open = (path: string, group: string, mayChange: boolean): Promise<Door> => {
    const desk: Desk = { handlers, answers, turns, mayChange, followers: 0, isReceiving: false };
    return openDoor({
      path,
      group,
      onCall: (call) => {
        answer(call, desk).catch((error: unknown) => {
          if (call.response.headersSent) call.response.destroy();
          else send(call, statusOf(error), { error: error instanceof Error ? error.message : String(error) });
        });
      },
      onShut: (reason) => handlers.onShut(path, group, reason),
    });
  };
  const doors = [
    await open(control, CONTROL_GROUP, true),
    await open(join(directory, READING_SOCKET), READING_GROUP, false),
  ];
  return {
    async close() {
      await Promise.all(doors.map((door) => door.close()));
    },
  };
}

/** What calls by one socket are answered with. */
interface Desk {
  readonly handlers: ApiHandlers;
  readonly answers: SharedAnswers<Answer>;
  readonly turns: Turns;
  /** Whether calls that change something are answered. */
  readonly mayChange: boolean;
  /** How many connections follow the log. */
  followers: number;
  /** Whether a long body is being received. */
  isReceiving: boolean;
}

/** What a question is answered with: ready to be sent, or in pieces that each who asks has made anew. */
type Answer =
  | { readonly kind: 'ready'; readonly status: number; readonly type: string; readonly body: Buffer }
  | { readonly kind: 'pieces'; readonly pieces: () => AsyncIterable<string> };

function statusOf(error: unknown): number {
  if (error instanceof Refused) return error.status;
  return error instanceof HoldingRefused ? 409 : 500;
}

function isServed(path: string): Promise<boolean> {
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

const CALLS = [
  'GET /v1/status',
  'GET /v1/policy',
  'GET /v1/history',
  'GET /v1/history/NUMBER',
  'GET /v1/stats',
  'GET /v1/log',
  'GET /v1/log/follow?last=NUMBER',
  'POST /v1/reload',
  'POST /v1/clear',
  'POST /v1/try',
  'POST /v1/confirm',
  'POST /v1/rollback',
  'GET /metrics',
];

async function answer(call: Call, desk: Desk): Promise<void> {
  const { incoming, response } = call;
  if (!desk.mayChange && incoming.method !== 'GET')
    throw new Refused(
      403,
      `${READING_SOCKET} only answers questions: for more be root or of the group ${CONTROL_GROUP}`,
    );
  const body = await receive(call, desk);
  call.awaitNothing();
  const asked = `${incoming.method ?? ''} ${incoming.url ?? ''}`;
  const followed = FOLLOW.exec(asked);
  if (followed !== null) {
    follow(call, desk, Number(followed[1] ?? MOST_BEFORE));
    return;
  }
  const make = questionAbout(asked, desk.handlers);
  if (make === undefined) {
    send(call, ...(await change(asked, body, desk.handlers)));
    return;
  }
  await desk.turns.next();
  // Whoever has gone meanwhile asks for nothing.
  if (response.destroyed) return;
  const made = await desk.answers.ask(asked, make);
  if (made.kind === 'ready') deliver(call, made);
  else await sendPieces(call, made.pieces(), desk.turns);
}

/** How a question is answered; undefined for what is none. */
function questionAbout(asked: string, handlers: ApiHandlers): (() => Promise<Answer>) | undefined {
  switch (asked) {
    case 'GET /v1/status':
      return async () => json(200, await handlers.fullStatus());
    case 'GET /v1/policy':
      return async () => policyAnswer(handlers);
    case 'GET /v1/history':
      return async () => json(200, { versions: await handlers.history.list() });
    case 'GET /v1/stats':
      return async () => json(200, { stats: (await handlers.records.stats()) ?? null });
    case 'GET /v1/log':
      return async () => json(200, { entries: handlers.records.log() });
    case 'GET /metrics':
      return async () => ready(200, 'text/plain; version=0.0.4', formatMetrics(handlers.status()));
  }
  const version = /^GET \/v1\/history\/([0-9]{1,8})$/.exec(asked)?.[1];
  return version === undefined ? undefined : () => versionAnswer(Number(version), asked, handlers);
}

function policyAnswer(handlers: ApiHandlers): Promise<Answer> | Answer {
  const policy = handlers.policy();
  const { inForce } = handlers.status();
  if (policy === undefined) return json(200, { policy: null, inForce });
  const texts = longTexts(policy);
  const pieces = (): AsyncIterable<string> => jsonWithTexts({}, { key: 'policy', texts }, { inForce });
  return lengthOf(texts) > MAX_READY_BYTES ? { kind: 'pieces', pieces } : gathered(pieces());
}

async function versionAnswer(number: number, asked: string, { history }: ApiHandlers): Promise<Answer> {
  const opened = await history.open(number);
  if (opened === undefined) return json(404, noSuchCall(asked));
  const { texts: all, ...version } = opened;
  const { instance, documents } = version;
  const texts = { instance, documents, texts: all };
  const pieces = (): AsyncIterable<string> => jsonWithTexts(version, { key: 'texts', texts });
  return lengthOf(texts) > MAX_READY_BYTES ? { kind: 'pieces', pieces } : gathered(pieces());
}

/** Does what a call other than a question asks for, and says how that went. */
async function change(asked: string, body: string, handlers: ApiHandlers): Promise<[status: number, body: object]> {
  switch (asked) {
    case 'POST /v1/reload':
      await handlers.reload();
      return [200, handlers.status()];
    case 'POST /v1/clear':
      await handlers.clear();
      return [200, handlers.status()];
    case 'POST /v1/try': {
      const { policy, timeoutSeconds, file } = parseBody(TRY, body);
      await handlers.holding.tryOut(policy, timeoutSeconds, file);
      return [200, handlers.status()];
    }
    case 'POST /v1/confirm':
      return [200, { ...(await handlers.holding.confirm()), policyFile: handlers.status().policyFile }];
    case 'POST /v1/rollback': {
      const { version: wanted, trialOnly } = parseBody(ROLLBACK, body === '' ? '{}' : body);
      if (trialOnly === true) await handlers.holding.endTrial();
      else await handlers.holding.rollback(wanted);
      return [200, handlers.status()];
    }
  }
  return [404, noSuchCall(asked)];
}

function noSuchCall(asked: string): object {
  return { error: `there is no ${asked}`, calls: CALLS };
}

/** One line of JSON a packet, the last ones from before first, for as long as somebody listens. */
function follow({ response }: Call, desk: Desk, before: number): void {
  if (desk.followers >= MAX_FOLLOWERS)
    throw new Refused(503, `${MAX_FOLLOWERS} others follow the log: ask again when one of them has ended`);
  const { records } = desk.handlers;
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  const write = (entry: LogEntry): void => {
    // Whoever does not read what is sent is not sent more than a buffer of it.
    if (!response.writableNeedDrain) response.write(`${JSON.stringify(entry)}\n`);
  };
  response.flushHeaders();
  for (const entry of before === 0 ? [] : records.log().slice(-before)) write(entry);
  const end = records.follow(write);
  desk.followers += 1;
  response.once('close', () => {
    desk.followers -= 1;
    end();
  });
}

/** How many packets from before are sent first, where the question does not say. */
const MOST_BEFORE = 10;

/** The log as it grows, and how much of it from before. */
const FOLLOW = /^GET \/v1\/log\/follow(?:\?last=([0-9]{1,6}))?$/;

/** A part of a socket's connections, so that followers leave room for questions. */
const MAX_FOLLOWERS = 16;

/** The longest timeout of a trial: longer, and nobody remembers it. */
const LONGEST_TRIAL_SECONDS = 24 * 3600;

const TRY = z.strictObject({
  policy: z.strictObject({
    instance: z.string(),
    documents: z.array(z.string()).min(1),
    texts: z.record(z.string(), z.string()),
  }),
  timeoutSeconds: z.number().min(1).max(LONGEST_TRIAL_SECONDS),
  file: z.string().optional(),
});

const ROLLBACK = z.strictObject({
  version: z.int().positive().optional(),
  /** Ends a trial, and nothing else. */
  trialOnly: z.boolean().optional(),
});

/** A call that is not answered as it wishes, and the status of HTTP that says so. */
class Refused extends Error {
  override readonly name = 'Refused';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function parseBody<T>(schema: z.ZodType<T>, body: string): T {
  try {
    return schema.parse(JSON.parse(body));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError)
      throw new Refused(400, `the body is not as it should be: ${error.message}`);
    throw error;
  }
}

/** A policy and its lists are no longer than the files that the daemon reads itself. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

/** Questions have none. */
const MAX_QUESTION_BYTES = 1_024;

/** Of longer bodies, a socket takes one at a time. */
const MAX_SHORT_BODY_BYTES = 1024 * 1024;

/** Longer answers are made and sent piece by piece, for each who asks. */
const MAX_READY_BYTES = 256 * 1024;

async function receive({ incoming, expectBody }: Call, desk: Desk): Promise<string> {
  const isChunked = incoming.headers['transfer-encoding'] !== undefined;
  const length = isChunked ? Number.POSITIVE_INFINITY : Number(incoming.headers['content-length'] ?? 0);
  const longest = desk.mayChange ? MAX_BODY_BYTES : MAX_QUESTION_BYTES;
  if (!isChunked && length > longest) throw new Refused(400, 'the body is too long');
  if (length <= MAX_SHORT_BODY_BYTES) return readBody(incoming, longest, () => expectBody(length));
  if (desk.isReceiving) throw new Refused(503, 'another policy is being sent: send it again in a moment');
  desk.isReceiving = true;
  try {
    return await readBody(incoming, longest, () => expectBody(length));
  } finally {
    desk.isReceiving = false;
  }
}

async function readBody(incoming: IncomingMessage, longest: number, begin: () => void): Promise<string> {
  begin();
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > longest) throw new Refused(400, 'the body is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function gathered(pieces: AsyncIterable<string>): Promise<Answer> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return ready(200, JSON_TYPE, text);
}

const JSON_TYPE = 'application/json';

function json(status: number, body: object): Answer & { readonly kind: 'ready' } {
  return ready(status, JSON_TYPE, `${JSON.stringify(body, null, 2)}\n`);
}

function ready(status: number, type: string, text: string): Answer & { readonly kind: 'ready' } {
  return { kind: 'ready', status, type, body: Buffer.from(text) };
}

function send(call: Call, status: number, body: object): void {
  deliver(call, json(status, body));
}

function deliver({ response, awaitReader }: Call, { status, type, body }: Answer & { readonly kind: 'ready' }): void {
  if (response.headersSent || response.destroyed) return;
  awaitReader();
  const busy = status === 503 ? { 'retry-after': '1' } : {};
  response.writeHead(status, { 'content-type': type, 'content-length': body.length, ...busy }).end(body);
}
