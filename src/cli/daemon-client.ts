import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { dirname, join } from 'node:path';
import { CONTROL_GROUP, READING_GROUP, READING_SOCKET } from '../model/socket-names.ts';
import { UnableError } from './command.ts';

/** Clearing waits for a change under way, which may load a big list. */
const TIMEOUT_MILLISECONDS = 90_000;

/** What a program that asks the daemon gets back; undefined where no daemon serves the socket. Throws an UnableError. */
export async function askDaemon(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  const answer = await exchange({ socketPath, method, path, body });
  return answer === undefined ? undefined : (JSON.parse(answer) as unknown);
}

/** As {@link askDaemon}, where nothing can be done without a daemon: throws an UnableError where none serves the socket. */
export async function askRunningDaemon(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  const answer = await askDaemon(socketPath, method, path, body);
  if (answer === undefined) throw new UnableError(`no daemon serves ${socketPath}\nhelp: systemctl start secgroupd`);
  return answer;
}

/**
 * Hands `onLine` each line that the daemon sends, as it comes; resolves when the daemon ends. Throws an UnableError where
 * none serves the socket.
 */
export async function followDaemon(socketPath: string, path: string, onLine: (line: string) => void): Promise<void> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const ask = (socket: string): void => {
      const call = request({ socketPath: socket, method: 'GET', path }, resolve);
      call.once('error', (error: NodeJS.ErrnoException) => {
        const other = error.code === 'EACCES' ? readingSocket(socket) : undefined;
        if (other !== undefined) ask(other);
        else reject(new UnableError(`no daemon serves ${socket}: ${error.message}`));
      });
      call.end();
    };
    ask(socketPath);
  });
  if (response.statusCode !== 200) throw new UnableError(`the daemon answered ${response.statusCode ?? 'nothing'}`);
  try {
    for await (const line of createInterface({ input: response })) onLine(line);
  } catch (error) {
    // A daemon that ends cuts the answer off.
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
  }
}

interface Exchange {
  readonly socketPath: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body: object | undefined;
}

/** Where those are answered who may only ask; undefined for that socket itself. */
function readingSocket(socketPath: string): string | undefined {
  const path = join(dirname(socketPath), READING_SOCKET);
  return path === socketPath ? undefined : path;
}

function exchange({ socketPath, method, path, body }: Exchange): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: TIMEOUT_MILLISECONDS }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', (error) => reject(new UnableError(`${socketPath}: ${error.message}`)));
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(text);
        else
          reject(new UnableError(errorIn(text) ?? `the daemon answered ${response.statusCode ?? 'nothing'}: ${text}`));
      });
    });
    call.once('timeout', () => call.destroy(new Error('the daemon does not answer')));
    call.once('error', (error: NodeJS.ErrnoException) => {
      const other = error.code === 'EACCES' && method === 'GET' ? readingSocket(socketPath) : undefined;
      if (other !== undefined) resolve(exchange({ socketPath: other, method, path, body }));
      else if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else reject(new UnableError(`${socketPath}: ${error.code === 'EACCES' ? denied(method) : error.message}`));
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function denied(method: Exchange['method']): string {
  const groups = method === 'GET' ? `${CONTROL_GROUP}, or ${READING_GROUP} to look` : CONTROL_GROUP;
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
