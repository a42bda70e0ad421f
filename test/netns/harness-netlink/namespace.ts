import { type ChildProcess, execFileSync, fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';
import { createNamespaces, namespacePrefix, removeNamespaces } from '../harness/namespaces.ts';
import { needKernel } from '../harness/requirements.ts';
import type { Answer, CallFailure, Calls } from './calls.ts';

const repository = resolve(import.meta.dirname, '../../..');
const program = resolve(import.meta.dirname, 'program.ts');

/** What a call in the namespace throws. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly failure: CallFailure;

  constructor(failure: CallFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** A network namespace and a process in it that speaks netlink: a socket belongs to the namespace it was opened in. */
export class Namespace {
  readonly name: string;
  readonly bundle: string;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  /** Starts the program; `prefix` is the beginning of its command line. */
  constructor(name: string, bundle: string, prefix: readonly string[] = []) {
    this.name = name;
    this.bundle = bundle;
    this.#child = fork(bundle, [], {
      execPath: 'ip',
      execArgv: ['netns', 'exec', name, ...prefix, process.execPath],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (answer) => {
      const { id } = answer as Answer;
      this.#waiting.get(id)?.(answer as Answer);
      this.#waiting.delete(id);
    });
    this.#child.on('exit', (code, signal) => {
      for (const [id, settle] of this.#waiting)
        settle({ id, error: { message: `the program ended: ${code ?? signal}` } });
    });
  }

  /** Has the program do something. Throws a CallError. */
  async call<Name extends keyof Calls>(name: Name, ...args: Parameters<Calls[Name]>): Promise<ReturnType<Calls[Name]>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = await new Promise<Answer>((settle) => {
      this.#waiting.set(id, settle);
      this.#child.send({ id, name, args });
    });
    if (answer.error !== undefined) throw new CallError(answer.error);
    return answer.result as ReturnType<Calls[Name]>;
  }

  /** Runs the text with `nft -f`. Throws what nft says if it refuses. */
  nft(script: string): void {
    execFileSync('ip', ['netns', 'exec', this.name, 'nft', '-f', '-'], { input: script, stdio: 'pipe' });
  }

  /** Whether nft does what the text says. */
  nftAccepts(script: string): boolean {
    return spawnSync('ip', ['netns', 'exec', this.name, 'nft', '-f', '-'], { input: script }).status === 0;
  }

  /** What nft prints. Throws what it says if it fails. */
  list(...words: readonly string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, 'nft', ...words], {
      encoding: 'utf8',
      maxBuffer: 1 << 30,
    });
  }

  /** Ends the program and waits until it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** Makes namespaces for the tests of a file, or of a describe, and hands them over before the first. */
export function useNamespaces(count: number, receive: (...namespaces: Namespace[]) => void): void {
  const prefix = namespacePrefix();
  const names = Array.from({ length: count }, (_, i) => `${prefix}.nl${i}`);
  let directory: string;
  let namespaces: Namespace[] = [];

  beforeAll(async () => {
    needKernel();
    directory = mkdtempSync(join(tmpdir(), 'secgroupd-netlink-'));
    symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'));
    const bundle = join(directory, 'program.mjs');
    await build({
      entryPoints: [program],
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      packages: 'external',
      outfile: bundle,
      logLevel: 'error',
    });
    createNamespaces(names);
    namespaces = names.map((name) => new Namespace(name, bundle));
    receive(...namespaces);
  });
  afterAll(async () => {
    await Promise.all(namespaces.map(async (namespace) => namespace.stop()));
    removeNamespaces(names);
    rmSync(directory, { recursive: true, force: true });
  });
}
