import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

const FOLDER = '/run/netns';
const OURS = /^sgt(?<pid>\d+)-/;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const live = new Set<string>();
let worlds = 0;

/** A prefix of namespace names that no other world has, of this process or of any other that runs. */
export function namespacePrefix(): string {
  worlds += 1;
  return `sgt${process.pid}-${threadId}.${worlds}`;
}

/** Creates namespaces that are removed when this process exits or is interrupted, unless that was done before. */
export function createNamespaces(names: readonly string[]): void {
  if (live.size === 0) {
    process.on('exit', removeLive);
    process.on('disconnect', endOrphan);
    for (const signal of SIGNALS) process.on(signal, endBySignal);
  }
  for (const name of names) live.add(name);
  runBatch(names.map((name) => `netns add ${name}`));
}

/** Removes namespaces; the kernel destroys them when their last process is gone. */
export function removeNamespaces(names: readonly string[]): void {
  const present = new Set(list());
  runBatch(names.filter((name) => present.has(name)).map((name) => `netns del ${name}`));
  for (const name of names) live.delete(name);
  if (live.size > 0) return;
  process.off('exit', removeLive);
  process.off('disconnect', endOrphan);
  for (const signal of SIGNALS) process.off(signal, endBySignal);
}

/** Removes the namespaces that processes no longer running have left: those that were killed outright. */
export function removeStaleNamespaces(): void {
  const stale = list().filter((name) => {
    const pid = OURS.exec(name)?.groups?.['pid'];
    return pid !== undefined && !isRunning(Number(pid));
  });
  for (const name of stale) {
    try {
      runBatch([`netns del ${name}`]);
    } catch {
      // Another test process was faster.
    }
  }
}

function list(): string[] {
  try {
    return readdirSync(FOLDER);
  } catch {
    return [];
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function removeLive(): void {
  removeNamespaces([...live]);
}

function endBySignal(signal: NodeJS.Signals): void {
  removeLive();
  // Our listener, now gone, stood in for the default, which is to end.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

function endOrphan(): void {
  // The test runner that this worker reports to was killed; by itself the worker would carry on.
  process.kill(process.pid, 'SIGTERM');
}

function runBatch(commands: readonly string[]): void {
  // Synchronous, as nothing else runs any more when a process exits.
  if (commands.length > 0) execFileSync('ip', ['-batch', '-'], { input: commands.join('\n'), stdio: 'pipe' });
}
