import { once } from 'node:events';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import type { Turns } from '#daemon/reconcile/turns.ts';
import type { OpenedText } from '#host/state/history.ts';
import type { Call } from './listen-socket.ts';

/** In characters: the part of an answer that is encoded and sent at once. */
const PIECE_LENGTH = 32 * 1024;

/** The texts of a policy's files, which may be long and are read piece by piece. */
export interface LongTexts extends Omit<PolicyTexts, 'texts'> {
  readonly texts: readonly OpenedText[];
}

/** Long texts from texts in memory. */
export function longTexts({ instance, documents, texts }: PolicyTexts): LongTexts {
  const opened = Object.entries(texts).map(([file, text]) => ({
    file,
    bytes: text.length,
    read: () => piecesOf(text),
  }));
  return { instance, documents, texts: opened };
}

async function* piecesOf(text: string): AsyncIterable<string> {
  for (let at = 0; at < text.length; at += PIECE_LENGTH) yield text.slice(at, at + PIECE_LENGTH);
}

/** The approximate length of the texts, in bytes. */
export function lengthOf({ texts }: LongTexts): number {
  return texts.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The JSON of an object in pieces: `before`, the texts of a policy by the name `key`, `after`. */
export async function* jsonWithTexts(
  before: object,
  { key, texts: { instance, documents, texts } }: { readonly key: string; readonly texts: LongTexts },
  after: object = {},
): AsyncGenerator<string> {
  yield `${opening(before)}${JSON.stringify(key)}:${opening({ instance, documents })}"texts":{`;
  let separator = '';
  for (const { file, read } of texts) {
    yield `${separator}${JSON.stringify(file)}:"`;
    // JSON allows the halves of a surrogate pair to be escaped separately, in two pieces.
    for await (const piece of read()) yield JSON.stringify(piece).slice(1, -1);
    yield '"';
    separator = ',';
  }
  const rest = JSON.stringify(after);
  yield rest === '{}' ? '}}}\n' : `}},${rest.slice(1)}\n`;
}

/** The JSON of an object, open for further keys. */
function opening(object: object): string {
  const json = JSON.stringify(object);
  return json === '{}' ? '{' : `${json.slice(0, -1)},`;
}

/** Sends pieces as the client reads them, a turn each, and stops when the client goes. Throws what the pieces throw. */
export async function sendPieces(
  { response, awaitReader }: Call,
  pieces: AsyncIterable<string>,
  turns: Turns,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' });
  for await (const piece of pieces) {
    if (response.destroyed) return;
    awaitReader();
    // INVARIANT: at most one piece is kept for a client that does not read.
    if (!response.write(piece)) await drained(response);
    await turns.next();
  }
  response.end();
}

/** Resolves when the client has read what was written, or has gone. */
async function drained(response: Call['response']): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]).finally(() =>
    ended.abort(),
  );
}
