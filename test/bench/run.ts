import { spawnSync } from 'node:child_process';

/** What a program that ran to its end left. */
export interface Ran {
  readonly stdout: string;
  readonly milliseconds: number;
}

/** What a program is given. */
export interface RunOptions {
  readonly input?: string;
  /** Ends it after so many milliseconds, with a {@link TooLong}. */
  readonly limit?: number;
}

/** Something was given up because it took longer than it may. */
export class TooLong extends Error {
  override readonly name = 'TooLong';
}

/** Runs a program by way of `entry`, such as nsenter and its options; throws what the program says when it fails. */
export function runBy(entry: readonly string[], argv: readonly string[], { input = '', limit }: RunOptions = {}): Ran {
  const [program = '', ...words] = [...entry, ...argv];
  const began = performance.now();
  const result = spawnSync(program, words, {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    killSignal: 'SIGKILL',
    ...(limit === undefined ? {} : { timeout: limit }),
  });
  const milliseconds = performance.now() - began;
  if (result.status === 0) return { stdout: result.stdout, milliseconds };
  const error: NodeJS.ErrnoException | undefined = result.error;
  if (error?.code === 'ETIMEDOUT') throw new TooLong(`over ${Math.round((limit ?? 0) / 1_000)} s`);
  throw new Error(`${argv.join(' ')}: ${error?.message ?? (result.stderr || result.stdout).slice(0, 2_000)}`);
}
