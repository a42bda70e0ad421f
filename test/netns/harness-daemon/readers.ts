import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';

const PROGRAM = fileURLToPath(new URL('readers.py', import.meta.url));

/** Clients that ask for more than they read; readers.py says how. */
export interface ReadersSpec {
  readonly socket: string;
  readonly kind: 'pipelining' | 'hurrying' | 'deaf' | 'unfinished';
  readonly path: string;
  readonly connections: number;
}

/** Clients at work. */
export interface Readers {
  stop(): Promise<void>;
}

/** Starts clients; all of their connections have been made once when this resolves. */
export async function startReaders({ socket, kind, path, connections }: ReadersSpec): Promise<Readers> {
  const child = spawn('python3', ['-B', PROGRAM, socket, kind, path, String(connections)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.on('error', () => undefined);
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  await until('the readers are at work', () => lines.includes('ready'), { within: 20_000 });
  return {
    async stop() {
      child.stdin.end();
      await exited;
    },
  };
}
