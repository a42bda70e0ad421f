import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** A request line and a few headers. */
export const MAX_HEAD_BYTES = 8 * 1024;

/** A client that sends more than this beyond one request is cut off. */
const MAX_SURPLUS_BYTES = 128 * 1024;

/**
 * A connection of which the HTTP server sees one request, whatever the client sends after it: node:http would parse and
 * answer all pipelined requests at once. Ends with the client.
 */
export class OneRequest extends Duplex {
  readonly #socket: Socket;
  #head: Buffer | undefined = Buffer.alloc(0);
  /** How many bytes of the body are still to come. */
  #wanted = 0;
  /** What arrived after the head, until it is known whether it is a body; then undefined. */
  #early: Buffer[] | undefined = [];
  #surplusBytes = 0;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    for (const event of ['end', 'close', 'error']) socket.once(event, () => this.destroy());
    socket.on('error', () => undefined);
  }

  /** Lets `bytes` of a body through, 0 for none, Infinity for as much as comes. */
  expectBody(bytes: number): void {
    this.#wanted = bytes;
    const early = Buffer.concat(this.#early ?? []);
    this.#early = undefined;
    this.#surplusBytes = 0;
    if (early.length > 0) this.#receiveBody(early);
  }

  /** Ends the connection after the last answer, as node:http does, without waiting for the client. */
  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#early = undefined;
    this.#socket.destroy();
    done(error);
  }

  #receive(chunk: Buffer): void {
    if (this.#head === undefined) return this.#receiveBody(chunk);
    const bytes = Buffer.concat([this.#head, chunk]);
    const end = headEnd(bytes);
    if (end === undefined && bytes.length <= MAX_HEAD_BYTES) {
      this.#head = bytes;
      return;
    }
    this.#head = undefined;
    // The server refuses a head that is too long.
    this.push(bytes.subarray(0, end ?? bytes.length));
    if (end !== undefined && end < bytes.length) this.#receiveBody(bytes.subarray(end));
  }

  #receiveBody(chunk: Buffer): void {
    const body = chunk.subarray(0, this.#wanted);
    this.#wanted -= body.length;
    if (body.length > 0 && !this.push(body)) this.#socket.pause();
    if (body.length === chunk.length) return;
    const rest = chunk.subarray(body.length);
    this.#surplusBytes += rest.length;
    if (this.#surplusBytes > MAX_SURPLUS_BYTES) this.destroy();
    else this.#early?.push(rest);
  }
}

/** The offset after the empty line that ends the headers; undefined if it has not arrived. */
function headEnd(bytes: Buffer): number | undefined {
  const ends = ['\n\r\n', '\n\n'].flatMap((mark) => {
    const at = bytes.indexOf(mark);
    return at < 0 ? [] : [at + mark.length];
  });
  return ends.length === 0 ? undefined : Math.min(...ends);
}
