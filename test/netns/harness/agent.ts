import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('packet-agent.py', import.meta.url));

interface Answer {
  readonly id: number;
  readonly ok?: unknown;
  readonly error?: string;
}

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The program that acts inside one namespace: sends, observes, opens sockets. */
export class Agent {
  readonly namespace: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiters = new Map<number, Waiter>();
  readonly #exited: Promise<unknown>;
  #lastId = 0;
  #stderr = '';

  /** Starts an agent in the namespace of this name; it ends with this process at the latest. */
  constructor(namespace: string) {
    this.namespace = namespace;
    // -B: no byte code is left beside the sources.
    this.#child = spawn('ip', ['netns', 'exec', namespace, 'python3', '-B', PROGRAM]);
    this.#exited = once(this.#child, 'exit').catch(() => undefined);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    // Writing to an agent that is gone fails here as well; the exit has rejected whoever waits.
    this.#child.stdin.on('error', () => undefined);
    this.#child.on('error', (error) => this.#rejectAll(error));
    this.#child.on('close', (code) => this.#rejectAll(new Error(`the agent ended (${code}): ${this.#stderr.trim()}`)));
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#settle(JSON.parse(line) as Answer));
  }

  /** Sends one request and returns what the agent says to it; throws what the agent throws. */
  async request<Result>(verb: string, content: Readonly<Record<string, unknown>> = {}): Promise<Result> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      throw new Error(`the agent of ${this.namespace} has ended: ${this.#stderr.trim()}`);
    }
    const id = ++this.#lastId;
    return await new Promise<Result>((resolve, reject) => {
      this.#waiters.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#child.stdin.write(`${JSON.stringify({ id, verb, ...content })}\n`);
    });
  }

  /** Ends the agent and all its sockets, and waits until it is gone. */
  async stop(): Promise<void> {
    this.#child.stdin.end();
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), 2_000);
    await this.#exited;
    clearTimeout(deadline);
  }

  #settle({ id, ok, error }: Answer): void {
    const waiter = this.#waiters.get(id);
    this.#waiters.delete(id);
    if (error === undefined) waiter?.resolve(ok);
    else waiter?.reject(new Error(`${this.namespace}: ${error}`));
  }

  #rejectAll(error: Error): void {
    for (const { reject } of this.#waiters.values()) reject(error);
    this.#waiters.clear();
  }
}
