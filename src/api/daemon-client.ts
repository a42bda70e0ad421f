import { type IncomingMessage, request } from 'node:http';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { CONTROL_GROUP, READING_GROUP, READING_SOCKET } from './socket-names.ts';

/** For all of an answer. Clearing waits for a change under way, which may load a big list. */
const TIMEOUT_MILLISECONDS = 90_000;

/** In bytes; the longest answers are policies, which with their lists are no longer than what may be tried. */
const MAX_ANSWER = 400 * 1024 * 1024;

/** In bytes, one line of what is followed. */
const MAX_LINE = 1024 * 1024;

/** Of an answer that nobody understands so many characters are shown. */
const MAX_SHOWN = 1_000;

/** The daemon is not there, refuses, or answers what no daemon of this version would. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError';
}

/** A call of the daemon's socket. */
export interface DaemonCall<T> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  /** What the answer has to be. */
  readonly answer: z.ZodType<T>;
  /** Whether only those may ask who may change something, for the sake of what they are about to do. */
  readonly isForChange?: boolean;
}

/**
 * What a program that asks the daemon gets back; undefined where no daemon serves the socket. Throws a DaemonError, also
 * for an answer that is not what it has to be, is too long or takes too long: the daemon is not root, and may be anyone.
 */
export async function askDaemon<T>(socketPath: string, call: DaemonCall<T>): Promise<T | undefined> {
  const { method, path, body, answer, isForChange = method === 'POST' } = call;
  const text = await exchange({ socketPath, method, path, body, isForChange });
  return text === undefined ? undefined : understand(text, answer, `${method} ${path}`);
}

/** As {@link askDaemon}, where nothing can be done without a daemon: throws a DaemonError where none serves the socket. */
export async function askRunningDaemon<T>(socketPath: string, call: DaemonCall<T>): Promise<T> {
  const answer = await askDaemon(socketPath, call);
  if (answer === undefined) throw new DaemonError(`no daemon serves ${socketPath}\nhelp: systemctl start secgroupd`);
  return answer;
}

function understand<T>(text: string, schema: z.ZodType<T>, call: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof z.ZodError)) throw error;
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    const what = issue === undefined ? 'it is no JSON' : `${issue.path.join('.') || 'it'}: ${issue.message}`;
    const shown = what.slice(0, MAX_SHOWN);
    throw new DaemonError(
      `what the daemon answers to ${call} is not what it has to be (${shown})\nhelp: are sgctl and the daemon of one version?`,
    );
  }
}

/**
 * Hands `onLine` each line that the daemon sends, as it comes, read by `schema`; resolves when the daemon ends. Throws a
 * DaemonError where none serves the socket, or a line is not what it has to be.
 */
export async function followDaemon<T>(
  socketPath: string,
  { path, answer: schema }: Pick<DaemonCall<T>, 'path' | 'answer'>,
  onLine: (line: T) => void,
): Promise<void> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const ask = (socket: string): void => {
      const call = request({ socketPath: socket, method: 'GET', path }, resolve);
      call.once('error', (error: NodeJS.ErrnoException) => {
        const other = error.code === 'EACCES' ? readingSocket(socket) : undefined;
        if (other !== undefined) ask(other);
        else reject(new DaemonError(`no daemon serves ${socket}: ${error.message}`));
      });
      call.end();
    };
    ask(socketPath);
  });
  if (response.statusCode !== 200) throw new DaemonError(`the daemon answered ${response.statusCode ?? 'nothing'}`);
  try {
    let rest = '';
    for await (const piece of response.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = `${rest}${piece}`.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE) throw new DaemonError('the daemon sends a line that does not end');
      for (const line of lines) onLine(understand(line, schema, `GET ${path}`));
    }
  } catch (error) {
    // A daemon that ends cuts the answer off.
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
  } finally {
    response.destroy();
  }
}

interface Exchange {
  readonly socketPath: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body: object | undefined;
  readonly isForChange: boolean;
}

/** Where those are answered who may only ask; undefined for that socket itself. */
function readingSocket(socketPath: string): string | undefined {
  const path = join(dirname(socketPath), READING_SOCKET);
  return path === socketPath ? undefined : path;
}

function exchange({ socketPath, method, path, body, isForChange }: Exchange): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => call.destroy(new Error('the daemon does not answer')), TIMEOUT_MILLISECONDS);
    const call = request({ socketPath, method, path }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= MAX_ANSWER) chunks.push(chunk);
        else call.destroy(new Error(`the daemon's answer is longer than ${MAX_ANSWER} bytes`));
      });
      response.once('error', (error) => reject(new DaemonError(`${socketPath}: ${error.message}`)));
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(text);
        else
          reject(
            new DaemonError(
              errorIn(text) ?? `the daemon answered ${response.statusCode ?? 'nothing'}: ${text.slice(0, MAX_SHOWN)}`,
            ),
          );
      });
    });
    call.once('close', () => clearTimeout(deadline));
    call.once('error', (error: NodeJS.ErrnoException) => {
      const other = error.code === 'EACCES' && !isForChange ? readingSocket(socketPath) : undefined;
      if (other !== undefined) resolve(exchange({ socketPath: other, method, path, body, isForChange }));
      else if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else reject(new DaemonError(`${socketPath}: ${error.code === 'EACCES' ? denied(isForChange) : error.message}`));
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function denied(isForChange: boolean): string {
  const groups = isForChange ? CONTROL_GROUP : `${CONTROL_GROUP}, or ${READING_GROUP} to look`;
  return `permission denied: run as root, or join the group ${groups}`;
}

/** What an answer that is no success says went wrong. */
function errorIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}
