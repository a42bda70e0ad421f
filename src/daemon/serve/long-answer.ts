import { once } from 'node:events';
import type { OpenedText } from '#host/state/history.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import type { Call } from './listen-socket.ts';
import type { Turns } from '#daemon/reconcile/turns.ts';

/** In characters: what is made and sent of an answer at once. */
const PIECE_LENGTH = 32 * 1024;

/** The texts of a policy's files, which may be long, to be read piece by piece. */
export interface LongTexts extends Omit<PolicyTexts, 'texts'> {
  readonly texts: readonly OpenedText[];
}

/** Texts that are in memory. */
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

/** About how long they are, in bytes. */
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
    // A pair of surrogates that two pieces share is escaped by halves, which JSON allows.
    for await (const piece of read()) yield JSON.stringify(piece).slice(1, -1);
    yield '"';
    separator = ',';
  }
  const rest = JSON.stringify(after);
  yield rest === '{}' ? '}}}\n' : `}},${rest.slice(1)}\n`;
}

/** An object's JSON that another key is to follow. */
function opening(object: object): string {
  const json = JSON.stringify(object);
  return json === '{}' ? '{' : `${json.slice(0, -1)},`;
}

/** Sends pieces as the client reads them, a turn each, and stops when it is gone. Throws what making them throws. */
export async function sendPieces(
  { response, awaitReader }: Call,
  pieces: AsyncIterable<string>,
  turns: Turns,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' });
  for await (const piece of pieces) {
    if (response.destroyed) return;
    awaitReader();
    // INVARIANT: no more than a piece is kept for whoever does not read.
    if (!response.write(piece)) await drained(response);
    await turns.next();
  }
  response.end();
}

/** Resolves when what was written is read, or never will be. */
async function drained(response: Call['response']): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]).finally(() =>
    ended.abort(),
  );
}
