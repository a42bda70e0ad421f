import { request } from 'node:http';
import { UnableError } from './command.ts';

/** Clearing waits for a change under way, which may load a big list. */
const TIMEOUT_MILLISECONDS = 90_000;

/** What a program that asks the daemon gets back; undefined where no daemon serves the socket. Throws an UnableError. */
export async function askDaemon(socketPath: string, method: 'GET' | 'POST', path: string): Promise<unknown> {
  const body = await exchange({ socketPath, method, path });
  return body === undefined ? undefined : (JSON.parse(body) as unknown);
}

interface Exchange {
  readonly socketPath: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
}

function exchange({ socketPath, method, path }: Exchange): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: TIMEOUT_MILLISECONDS }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', (error) => reject(new UnableError(`${socketPath}: ${error.message}`)));
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(text);
        else reject(new UnableError(`the daemon answered ${response.statusCode ?? 'nothing'}: ${text.trim()}`));
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
    call.end();
  });
}
