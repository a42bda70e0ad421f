import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
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
    const call = request({ socketPath, method: 'GET', path }, resolve);
    call.once('error', (error) => reject(new UnableError(`no daemon serves ${socketPath}: ${error.message}`)));
    call.end();
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
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else
        reject(
          new UnableError(
            `${socketPath}: ${error.code === 'EACCES' ? 'permission denied: run as root, or join the group secgroupd' : error.message}`,
          ),
        );
    });
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
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
