import type { Command } from '#cli/framework/command.ts';
import { runCommand } from '#cli/framework/program.ts';
import { unstyled } from '#core/diagnostics/styled-text.ts';

/** How a command ended, and what it printed. */
export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command of sgctl in this process. */
export async function ranCommand(command: Command, args: readonly string[]): Promise<Ran> {
  const printed = { out: '', err: '' };
  const status = await runCommand('sgctl', command, {
    args,
    streams: {
      out: (text) => void (printed.out += unstyled(text)),
      err: (text) => void (printed.err += unstyled(text)),
      exact: (text) => void (printed.out += text),
      progress: () => undefined,
      clear: () => undefined,
    },
  });
  return { status, ...printed };
}
