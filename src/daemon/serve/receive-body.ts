import type { IncomingMessage } from 'node:http';
import type { Call } from './listen-socket.ts';
import { RequestError } from './request-error.ts';

/** A policy and its lists are no longer than the files that the daemon reads itself. */
const MAX_BODY_BYTES = 256 * 1024 * 1024;

/** On the reading socket, whose calls have no body. */
const MAX_QUESTION_BYTES = 1_024;

/** A socket receives one longer body at a time. */
const MAX_SHORT_BODY_BYTES = 1024 * 1024;

/** Receives the body of a call. Throws a RequestError for one that is too long, or while another long one arrives. */
export type BodyReceiver = (call: Call) => Promise<string>;

/** A receiver for one socket; `mayChange` allows the long bodies of changes. */
export function createBodyReceiver(mayChange: boolean): BodyReceiver {
  const maxBytes = mayChange ? MAX_BODY_BYTES : MAX_QUESTION_BYTES;
  let isReceiving = false;
  return async ({ incoming, expectBody }) => {
    const isChunked = incoming.headers['transfer-encoding'] !== undefined;
    const length = isChunked ? Number.POSITIVE_INFINITY : Number(incoming.headers['content-length'] ?? 0);
    if (!isChunked && length > maxBytes) throw new RequestError(400, 'the body is too long');
    if (length <= MAX_SHORT_BODY_BYTES) {
      expectBody(length);
      return readBody(incoming, maxBytes);
    }
    if (isReceiving) throw new RequestError(503, 'another policy is being sent: send it again in a moment');
    isReceiving = true;
    try {
      expectBody(length);
      return await readBody(incoming, maxBytes);
    } finally {
      isReceiving = false;
    }
  };
}

async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new RequestError(400, 'the body is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
