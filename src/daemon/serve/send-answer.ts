import { ROUTE_TEXTS } from '#api/routes.ts';
import type { Turns } from '#daemon/reconcile/turns.ts';
import type { Call } from './listen-socket.ts';
import { sendPieces } from './long-answer.ts';

/** The answer to a question. */
export type Answer<Value> =
  | { readonly kind: 'json'; readonly value: Value }
  | { readonly kind: 'text'; readonly type: string; readonly text: string }
  /** JSON of about so many bytes, which each client that asks has made anew. */
  | { readonly kind: 'pieces'; readonly bytes: number; readonly pieces: () => AsyncIterable<string> }
  | { readonly kind: 'missing'; readonly what: string };

/** An answer that is ready to be sent, or is encoded while it is sent. */
export type EncodedAnswer =
  | { readonly kind: 'ready'; readonly status: number; readonly type: string; readonly body: Buffer }
  | { readonly kind: 'pieces'; readonly pieces: () => AsyncIterable<string> };

/** Longer answers are encoded and sent piece by piece, for each client. */
const MAX_READY_BYTES = 256 * 1024;

const JSON_TYPE = 'application/json';

/** Encodes an answer; one that is long stays in pieces. */
export async function encodeAnswer(answer: Answer<unknown>): Promise<EncodedAnswer> {
  switch (answer.kind) {
    case 'json':
      return ready(200, JSON_TYPE, toJson(answer.value));
    case 'text':
      return ready(200, answer.type, answer.text);
    case 'missing':
      return ready(404, JSON_TYPE, toJson({ error: `there is no ${answer.what}`, calls: ROUTE_TEXTS }));
    case 'pieces':
      if (answer.bytes > MAX_READY_BYTES) return { kind: 'pieces', pieces: answer.pieces };
      return ready(200, JSON_TYPE, await join(answer.pieces()));
  }
}

/** Sends an answer to the client of a call. Throws what encoding it throws. */
export async function sendAnswer(call: Call, answer: EncodedAnswer, turns: Turns): Promise<void> {
  if (answer.kind === 'ready') send(call, answer);
  else await sendPieces(call, answer.pieces(), turns);
}

/** Sends a status and an object. */
export function sendJson(call: Call, status: number, value: object): void {
  send(call, ready(status, JSON_TYPE, toJson(value)));
}

type ReadyAnswer = Extract<EncodedAnswer, { readonly kind: 'ready' }>;

function ready(status: number, type: string, text: string): ReadyAnswer {
  return { kind: 'ready', status, type, body: Buffer.from(text) };
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

async function join(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

function send({ response, awaitReader }: Call, { status, type, body }: ReadyAnswer): void {
  if (response.headersSent || response.destroyed) return;
  awaitReader();
  const busy = status === 503 ? { 'retry-after': '1' } : {};
  response.writeHead(status, { 'content-type': type, 'content-length': body.length, ...busy }).end(body);
}
