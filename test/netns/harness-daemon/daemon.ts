import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '#api/status.ts';
import { PROGRAMS } from './programs.ts';
import { until } from './until.ts';

/** How the daemon is started. */
export interface DaemonSpec {
  readonly namespace: string;
  readonly policyFile: string;
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  /** The instance to be; none to find out. */
  readonly instance: string | undefined;
  /** A program and its arguments, which runs what follows it in its own place. */
  readonly wrapper?: readonly string[] | undefined;
}

const LOG_READ_MILLISECONDS = 5;

/** One line of the daemon's log. */
export interface LogLine {
  /** pino's: 30 info, 40 warn, 50 error, 60 fatal. */
  readonly level: number;
  readonly msg: string;
  readonly generation?: number;
  readonly change?: string;
  readonly file?: string;
  readonly line?: number;
}

/** How a process ended. */
export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A daemon that was started. */
export interface DaemonProcess {
  readonly pid: number;
  /** Grows as the daemon logs. */
  readonly log: readonly LogLine[];
  readonly ended: Promise<Ended>;
  /** Throws where the daemon does not answer. */
  status(): Promise<Status>;
  /** Waits until the status is as told, and returns it. */
  until(what: string, holds: (status: Status) => boolean, within?: number): Promise<Status>;
  /** Asks for a reload by the socket; returns the status in the answer. */
  reload(): Promise<Status>;
  signal(signal: NodeJS.Signals): void;
  /** Ends the daemon, by SIGTERM unless told, and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

/** Starts a daemon and does not wait for anything. */
export function spawnDaemon(spec: DaemonSpec): DaemonProcess {
  const { namespace, policyFile, stateDirectory, runtimeDirectory, instance, wrapper = [] } = spec;
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(
    'ip',
    [
      ...['netns', 'exec', namespace],
      // Should the test process be killed outright, the daemon ends with it.
      ...['setpriv', '--pdeathsig', 'KILL', ...wrapper, process.execPath, PROGRAMS.secgroupd],
      ...[
        '--log-format',
        'json',
        '--policy',
        policyFile,
        '--state-dir',
        stateDirectory,
        '--runtime-dir',
        runtimeDirectory,
      ],
      ...(instance === undefined ? [] : ['--instance', instance]),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const log: LogLine[] = [];
  let stderr = '';
  createInterface({ input: child.stdout }).on('line', (line) => log.push(JSON.parse(line) as LogLine));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (exitCode, signal) => resolve({ exitCode, signal }));
  });
  const socketPath = `${runtimeDirectory}/secgroupd.sock`;
  const status = (): Promise<Status> => ask(socketPath, 'GET', '/v1/status');
  return {
    pid: child.pid ?? 0,
    log,
    ended,
    status,
    reload: () => ask(socketPath, 'POST', '/v1/reload'),
    async until(what, holds, within = 5_000) {
      let last: Status | undefined;
      const found = await until(
        what,
        async () => {
          if (child.exitCode !== null || child.signalCode !== null) {
            throw new Error(`the daemon has ended: ${stderr}${JSON.stringify(log.slice(-3))}`);
          }
          last = await status().catch(() => undefined);
          return last !== undefined && holds(last) && last;
        },
        { within, instead: () => ({ status: last, log: log.slice(-3), stderr }) },
      );
      // What was logged before is in the pipe by now, and may not have been read from it.
      await sleep(LOG_READ_MILLISECONDS);
      return found;
    },
    signal: (signal) => void child.kill(signal),
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const deadline = setTimeout(() => child.kill('SIGKILL'), 5_000);
      const how = await ended;
      clearTimeout(deadline);
      return how;
    },
  };
}

function ask(socketPath: string, method: 'GET' | 'POST', path: string): Promise<Status> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, timeout: 10_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (response.statusCode === 200) resolve(JSON.parse(text) as Status);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
      });
    });
    call.once('timeout', () => call.destroy(new Error(`${method} ${path}: no answer`)));
    call.once('error', reject);
    call.end();
  });
}
