import { mkdir } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { ROUTE_TEXTS, ROUTES, routeCall } from '#api/routes.ts';
import { CONTROL_GROUP, CONTROL_SOCKET, READING_GROUP, READING_SOCKET } from '#api/socket-names.ts';
import { errorText } from '#core/diagnostics/error-text.ts';
import { OverrideRejected } from '#daemon/reconcile/override.ts';
import { createTurns, type Turns } from '#daemon/reconcile/turns.ts';
import { type ChangedState, changesOf, isChange } from './answer-changes.ts';
import { type AnsweredState, questionsOf } from './answer-questions.ts';
import { createLogFollowers, type LogFollowers } from './follow-log.ts';
import { type Call, type ListenSocket, openListenSocket } from './listen-socket.ts';
import { type BodyReceiver, createBodyReceiver } from './receive-body.ts';
import { RequestError } from './request-error.ts';
import { type EncodedAnswer, encodeAnswer, sendAnswer, sendJson } from './send-answer.ts';
import { createSharedAnswers, type SharedAnswers } from './shared-answers.ts';

/** The parts of the daemon that calls query and change. */
export interface ServedDaemon extends AnsweredState, ChangedState {
  /** Differs after each change of what is enforced, and of other programs' tables. */
  readonly revision: () => number;
  /** Called if members of `group` cannot connect to their socket at `path`, with the reason. */
  readonly onInaccessible: (path: string, group: string, reason: string) => void;
}

/** Another daemon answers on the socket. */
export class AlreadyRunning extends Error {
  override readonly name = 'AlreadyRunning';
}

/**
 * Serves HTTP and JSON on two unix sockets in `directory`: one for every call, for root and the control group, and one
 * for the calls that change nothing, for the reading group too. The kernel decides who may connect, by the sockets'
 * owner, group and mode: it knows all groups of the peer, and decides before the daemon sees a connection.
 * Throws AlreadyRunning if another daemon serves there; a socket that nobody serves is replaced.
 */
export async function serveApi(directory: string, daemon: ServedDaemon): Promise<{ close(): Promise<void> }> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const control = join(directory, CONTROL_SOCKET);
  if (await isServed(control)) throw new AlreadyRunning(`another secgroupd serves ${control}`);
  const shared = {
    questions: questionsOf(daemon),
    changes: changesOf(daemon),
    answers: createSharedAnswers<EncodedAnswer>({ revision: daemon.revision, now: () => performance.now() }),
    turns: createTurns(),
  };
  const open = (path: string, group: string, mayChange: boolean): Promise<ListenSocket> => {
    const socket: ServedSocket = {
      ...shared,
      mayChange,
      followers: createLogFollowers(daemon.records),
      receiveBody: createBodyReceiver(mayChange),
    };
    return openListenSocket({
      path,
      group,
      onCall: (call) => {
        answer(call, socket).catch((error: unknown) => sendError(call, error));
      },
      onInaccessible: (reason) => daemon.onInaccessible(path, group, reason),
    });
  };
  const sockets = [
    await open(control, CONTROL_GROUP, true),
    await open(join(directory, READING_SOCKET), READING_GROUP, false),
  ];
  return {
    async close() {
      await Promise.all(sockets.map((socket) => socket.close()));
    },
  };
}

/** How calls on one socket are answered. */
interface ServedSocket {
  readonly questions: ReturnType<typeof questionsOf>;
  readonly changes: ReturnType<typeof changesOf>;
  readonly answers: SharedAnswers<EncodedAnswer>;
  readonly turns: Turns;
  /** Whether calls that can change something are served. */
  readonly mayChange: boolean;
  readonly followers: LogFollowers;
  readonly receiveBody: BodyReceiver;
}

/** Whether a daemon answers on the socket at `path`. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const { method, path: target } = ROUTES.status;
    const probe = request({ socketPath: path, method, path: target, timeout: 1_000 }, (response) => {
      response.resume();
      resolve(true);
    });
    // A daemon too busy to answer within a second is still a daemon.
    probe.once('timeout', () => {
      resolve(true);
      probe.destroy();
    });
    probe.once('error', () => resolve(false));
    probe.end();
  });
}

/** Answers one call. Throws what the route's handler throws, and a RequestError. */
async function answer(call: Call, socket: ServedSocket): Promise<void> {
  const { incoming, response } = call;
  const asked = `${incoming.method ?? ''} ${incoming.url ?? ''}`;
  const routed = routeCall(asked);
  const mayChange = routed === undefined ? incoming.method !== 'GET' : ROUTES[routed.name].mayChange;
  if (mayChange && !socket.mayChange)
    throw new RequestError(
      403,
      `${READING_SOCKET} serves only calls that change nothing: for others be root or a member of the group ${CONTROL_GROUP}`,
    );
  const body = await socket.receiveBody(call);
  call.awaitNothing();
  if (routed === undefined) {
    sendJson(call, 404, { error: `there is no ${asked}`, calls: ROUTE_TEXTS });
    return;
  }
  const { name, number } = routed;
  if (name === 'followLog') {
    socket.followers.add(call, number);
    return;
  }
  if (isChange(name)) {
    sendJson(call, 200, await socket.changes[name](body));
    return;
  }
  await socket.turns.next();
  // The client may have gone meanwhile.
  if (response.destroyed) return;
  const encoded = await socket.answers.ask(asked, async () => encodeAnswer(await socket.questions[name](number)));
  await sendAnswer(call, encoded, socket.turns);
}

function sendError(call: Call, error: unknown): void {
  if (call.response.headersSent) {
    call.response.destroy();
    return;
  }
  const status = error instanceof RequestError ? error.status : error instanceof OverrideRejected ? 409 : 500;
  sendJson(call, status, { error: errorText(error) });
}
