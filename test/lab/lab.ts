import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import type { ExecResult } from '../netns/harness/world.ts';

const PROGRAM = fileURLToPath(new URL('../../scripts/lab.sh', import.meta.url));

/** A lab of scripts/lab.sh: web, db and bastion with secgroupd, pc without. */
export interface Lab {
  readonly name: string;
  /** What was printed when it was made: the commands that go on. */
  readonly printed: string;
  /** Runs a program on a host; throws when it fails, unless `reject` is false. */
  on(
    host: string,
    argv: readonly string[],
    options?: { readonly input?: string; readonly reject?: boolean },
  ): Promise<ExecResult>;
  /** Begins a program on a host, whose input and output are pipes. */
  begin(host: string, argv: readonly string[]): ChildProcess;
  /** Another of its commands, as people type it. */
  command(...words: readonly string[]): Promise<ExecResult>;
  /** Removes it; once is enough, twice does no harm. */
  down(): Promise<void>;
}

async function run(words: readonly string[], { input = '', reject = true } = {}): Promise<ExecResult> {
  const { exitCode, stdout, stderr } = await execa('bash', [PROGRAM, ...words], { input, reject });
  return { exitCode: exitCode ?? -1, stdout, stderr };
}

/** Makes a lab whose hosts are `namespaces`, `containers` or `vms`; resolves when the policy is in force on them. */
export async function raiseLab(kind: 'namespaces' | 'containers' | 'vms'): Promise<Lab> {
  const { stdout } = await run(['--hosts', kind, 'up']);
  const [name] = /sglab-\w+/.exec(stdout) ?? [];
  if (name === undefined) throw new Error(`lab.sh does not name its lab: ${stdout}`);
  let isUp = true;
  return {
    name,
    printed: stdout,
    on: (host, argv, options) => run(['--lab', name, 'shell', host, ...argv], options),
    begin: (host, argv) =>
      spawn('bash', [PROGRAM, '--lab', name, 'shell', host, ...argv], { stdio: ['pipe', 'pipe', 'inherit'] }),
    command: (...words) => run(['--lab', name, ...words], { reject: false }),
    async down() {
      if (!isUp) return;
      isUp = false;
      await run(['--lab', name, 'down']);
    },
  };
}
