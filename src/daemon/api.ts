import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, request, type Server, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { formatMetrics } from './metrics.ts';
import type { PolicyTexts } from '../model/policy-texts.ts';
import type { Status } from '../model/status.ts';

/** What the socket offers. */
export interface ApiHandlers {
  readonly status: () => Status;
  /** The status, with what has to be looked for in the kernel first. */
  readonly fullStatus: () => Promise<Status>;
  /** The policy in force; undefined where nothing is, or nobody knows what it says. */
  readonly policy: () => PolicyTexts | undefined;
  /** Reads everything anew and answers when it is in force or refused. */
  readonly reload: () => Promise<void>;
  /** Removes the rules. */
  readonly clear: () => Promise<void>;
}

/** Another daemon answers on the socket. */
export class AlreadyRunning extends Error {
  override readonly name = 'AlreadyRunning';
}

/**
 * Serves HTTP and JSON on a unix socket at `path`, which only root and the daemon's own group can open.
 * Throws AlreadyRunning where another daemon serves there; a socket that nobody serves is replaced.
 */
export async function serveApi(path: string, handlers: ApiHandlers): Promise<{ close(): Promise<void> }> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 });
  if (await answers(path)) throw new AlreadyRunning(`another secgroupd serves ${path}`);
  await rm(path, { force: true });
  const server = createServer((incoming, response) => {
    incoming.resume();
    answer({ method: incoming.method ?? '', url: incoming.url ?? '', response, handlers }).catch((error: unknown) => {
      send(response, 500, { error: error instanceof Error ? error.message : String(error) });
    });
  });
  // A client that never finishes its request holds a connection, not the daemon.
  server.requestTimeout = 10_000;
  server.maxConnections = 64;
  await listen(server, path);
  await chmod(path, 0o660);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request({ socketPath: path, path: '/v1/status', timeout: 1_000 }, (response) => {
      response.resume();
      resolve(true);
    });
    // A daemon too busy to answer within the second is a daemon all the same.
    probe.once('timeout', () => {
      resolve(true);
      probe.destroy();
    });
    probe.once('error', () => resolve(false));
    probe.end();
  });
}

interface Call {
  readonly method: string;
  readonly url: string;
  readonly response: ServerResponse;
  readonly handlers: ApiHandlers;
}

async function answer({ method, url, response, handlers }: Call): Promise<void> {
  switch (`${method} ${url}`) {
    case 'GET /v1/status':
      send(response, 200, await handlers.fullStatus());
      return;
    case 'GET /v1/policy':
      send(response, 200, { policy: handlers.policy() ?? null, inForce: handlers.status().inForce });
      return;
    case 'GET /metrics':
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(formatMetrics(handlers.status()));
      return;
    case 'POST /v1/reload':
      await handlers.reload();
      send(response, 200, handlers.status());
      return;
    case 'POST /v1/clear':
      await handlers.clear();
      send(response, 200, handlers.status());
      return;
    default:
      send(response, 404, {
        error: `there is no ${method} ${url}`,
        calls: ['GET /v1/status', 'GET /v1/policy', 'POST /v1/reload', 'POST /v1/clear', 'GET /metrics'],
      });
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body, null, 2)}\n`);
}
