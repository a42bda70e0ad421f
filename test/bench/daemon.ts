import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { LIST_FILE } from './generated-members.ts';
import type { PolicyTexts } from './generated-policy.ts';
import { memoryOf } from './memory.ts';

/** A folder that holds all a daemon has of its own. */
export interface DaemonHome {
  readonly folder: string;
  readonly policyFile: string;
  /** The list file beside it. */
  readonly listFile: string;
  remove(): void;
}

/** Makes a folder for a daemon within `scratch`, with a policy in it. */
export function createHome(scratch: string, { text, list }: PolicyTexts): DaemonHome {
  const folder = mkdtempSync(join(scratch, 'daemon-'));
  mkdirSync(join(folder, 'state'));
  mkdirSync(join(folder, 'run'));
  const policyFile = join(folder, 'policy.yaml');
  writeFileSync(policyFile, text);
  const listFile = join(folder, LIST_FILE);
  if (list !== undefined) writeFileSync(listFile, list);
  return { folder, policyFile, listFile, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A daemon that enforces. */
export interface RunningDaemon {
  readonly pid: number;
  /** From its start until it said that the policy is in force. */
  readonly startMilliseconds: number;
  /** Its memory in MB: now, and at most so far. */
  memory(): { readonly resident: number; readonly peak: number };
  stop(): Promise<void>;
}

const MOST_START_MILLISECONDS = 120_000;

/** What systemd starts the daemon with. */
function unitEnvironment(root: string): Readonly<Record<string, string>> {
  const unit = readFileSync(join(root, 'systemd/secgroupd.service'), 'utf8');
  return Object.fromEntries(
    Array.from(unit.matchAll(/^Environment=([A-Z_]+)=(.*)$/gm), ([, name = '', value = '']) => [name, value]),
  );
}

/** How to start a daemon. */
export interface DaemonStart {
  readonly namespace: string;
  readonly home: DaemonHome;
  /** Searched for nft first. */
  readonly path?: string;
  /** The instance it is, `host` unless told; undefined for it to find out. */
  readonly instance?: string | undefined;
}

/** Starts the built daemon in a namespace and waits until its policy is in force. */
export async function startDaemon(root: string, start: DaemonStart): Promise<RunningDaemon> {
  const { namespace, home, path } = start;
  const instance = 'instance' in start ? start.instance : 'host';
  const began = performance.now();
  const child = spawn(
    'nsenter',
    [
      // Should this process be killed outright, the daemon ends with it.
      ...[`--net=/run/netns/${namespace}`, 'setpriv', '--pdeathsig', 'KILL'],
      ...[process.execPath, join(root, 'dist/secgroupd.js'), '--log-format', 'json', '--policy', home.policyFile],
      ...(instance === undefined ? [] : ['--instance', instance]),
      ...['--state-dir', join(home.folder, 'state'), '--runtime-dir', join(home.folder, 'run'), '--trust', 'any'],
    ],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        ...unitEnvironment(root),
        PATH: `${path === undefined ? '' : `${path}:`}${process.env['PATH'] ?? ''}`,
      },
    },
  );
  const ended = once(child, 'close');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const deadline = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(deadline);
  };
  const deadline = setTimeout(() => child.kill('SIGKILL'), MOST_START_MILLISECONDS);
  const lines: string[] = [];
  const startMilliseconds = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      if ((JSON.parse(line) as { generation?: number }).generation !== undefined) resolve(performance.now() - began);
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`the daemon ended before it enforced anything: ${lines.join(' ')}`)));
  });
  clearTimeout(deadline);
  const pid = child.pid ?? 0;
  return { pid, startMilliseconds, memory: () => memoryOf(pid), stop };
}
