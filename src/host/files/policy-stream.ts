import { constants } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeUtf8, FileError, systemError, tooBig } from './policy-files.ts';

/** How much to read of a stream, and for how long. */
export interface StreamLimits {
  readonly maxBytes: number;
  /** How long to wait for the end. */
  readonly maxSeconds: number;
  /** How long a FIFO may be without a writer. */
  readonly maxWriterSeconds: number;
}

const POLL_MILLISECONDS = 20;
const CHUNK_BYTES = 64 * 1024;

/** Reads the UTF-8 text of a stream, such as standard input; `name` is its name in messages. Throws a FileError. */
export async function readReadable(
  stream: Readable,
  name: string,
  { maxBytes, maxSeconds }: Pick<StreamLimits, 'maxBytes' | 'maxSeconds'>,
): Promise<string> {
  const isTerminal = 'isTTY' in stream && stream.isTTY === true;
  // A person at a terminal ends it by hand.
  const deadline = isTerminal
    ? undefined
    : setTimeout(() => void stream.destroy(endless(name, maxSeconds)), maxSeconds * 1_000);
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      chunks.push(Buffer.from(chunk));
      total += chunk.length;
      if (total > maxBytes) throw tooBig(name, maxBytes);
    }
  } catch (error) {
    throw error instanceof FileError ? error : systemError(name, error);
  } finally {
    clearTimeout(deadline);
  }
  return decodeUtf8(name, Buffer.concat(chunks, total));
}

/** Reads the UTF-8 text of a FIFO. Never blocks in the kernel. Throws a FileError. */
export async function readFifo(path: string, limits: StreamLimits): Promise<string> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    if (!(await handle.stat()).isFIFO()) throw notAnyMore(path);
    // An unnamed pipe, as `<(command)` makes it, has its writer from the beginning.
    const hasWriter = (await readlink(`/proc/self/fd/${handle.fd}`)).startsWith('pipe:');
    return decodeUtf8(path, await readToEnd(handle, { path, hasWriter, limits }));
  } catch (error) {
    throw error instanceof FileError ? error : systemError(path, error);
  } finally {
    await handle?.close();
  }
}

interface Fifo {
  readonly path: string;
  /** Whether it has a writer, or had one. */
  readonly hasWriter: boolean;
  readonly limits: StreamLimits;
}

async function readToEnd(handle: FileHandle, { path, hasWriter, limits }: Fifo): Promise<Buffer> {
  const { maxBytes, maxSeconds, maxWriterSeconds } = limits;
  const began = performance.now();
  const chunks: Buffer[] = [];
  let total = 0;
  let isWritten = hasWriter;
  for (;;) {
    const seconds = (performance.now() - began) / 1_000;
    if (!isWritten && seconds > maxWriterSeconds) throw unwritten(path, maxWriterSeconds);
    if (seconds > maxSeconds) throw endless(path, maxSeconds);
    const chunk = await readSome(handle);
    // A read without a writer returns nothing at once; with a writer that has written nothing yet it is EAGAIN (fifo(7), pipe(7)).
    if (chunk !== 'nothing yet' && chunk.length === 0 && isWritten) return Buffer.concat(chunks, total);
    if (chunk === 'nothing yet' || chunk.length === 0) {
      isWritten ||= chunk === 'nothing yet';
      await sleep(POLL_MILLISECONDS);
      continue;
    }
    isWritten = true;
    chunks.push(chunk);
    total += chunk.length;
    if (total > maxBytes) throw tooBig(path, maxBytes);
  }
}

async function readSome(handle: FileHandle): Promise<Buffer | 'nothing yet'> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  try {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, null);
    return chunk.subarray(0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 'nothing yet';
    throw error;
  }
}

function endless(path: string, seconds: number): FileError {
  return new FileError({
    kind: 'late',
    path,
    message: `\`${path}\` has not ended after ${seconds} s`,
    hint: 'write the policy to a file first, and name that',
  });
}

function unwritten(path: string, seconds: number): FileError {
  return new FileError({
    kind: 'late',
    path,
    message: `\`${path}\` is a FIFO that nobody has written to for ${seconds} s`,
    hint: 'start what writes to it first, or name a regular file',
  });
}

function notAnyMore(path: string): FileError {
  return new FileError({
    kind: 'changing',
    path,
    message: `\`${path}\` was a FIFO, and is none any more`,
    hint: 'try again',
  });
}
