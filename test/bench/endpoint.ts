import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** The program endpoint.py at work in one namespace; it answers one request after the other. */
export class Endpoint {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #stderr = '';

  /** Starts `program` in a namespace; a pinned one keeps to one processor. */
  constructor(program: string, namespace: string, { pinned = false } = {}) {
    const command = [`--net=/run/netns/${namespace}`, 'python3', '-B', program, ...(pinned ? ['pinned'] : [])];
    this.#child = spawn('nsenter', command);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.#child.on('error', (error) => {
      this.#stderr += error.message;
    });
    // Writing to a program that is gone fails here as well; the missing answer tells why.
    this.#child.stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Sends one request and returns the answer; throws what the program says went wrong. */
  async request<Result>(verb: string, content: Readonly<Record<string, unknown>> = {}): Promise<Result> {
    this.#child.stdin.write(`${JSON.stringify({ verb, ...content })}\n`);
    const next = await this.#lines.next();
    if (next.done === true) throw new Error(`the endpoint ended: ${this.#stderr.trim()}`);
    const { ok, error } = JSON.parse(next.value) as { ok?: Result; error?: string };
    if (error !== undefined) throw new Error(error);
    return ok as Result;
  }

  /** Ends the program and waits until it is gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.stdin.end();
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), 2_000);
    await exited;
    clearTimeout(deadline);
  }
}
