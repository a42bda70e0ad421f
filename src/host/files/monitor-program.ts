import { execa } from 'execa';

/** A program that runs for as long as this process does and reports on its output. */
export type MonitorProgram = ReturnType<typeof startMonitorProgram>;

/** Whether to have the kernel end a monitor with this process: systemd ends what a service leaves behind. */
export function isGuardNeeded(): boolean {
  return (process.env['NOTIFY_SOCKET'] ?? '') === '';
}

/**
 * Starts a program that monitors. `guarded` has the kernel end it when this process dies, however it dies: where nothing
 * happens it would otherwise write nothing, never meet a broken pipe, and live on. Not every setpriv knows the option,
 * and Debian's does nothing without CAP_SETPCAP, so a start that fails is to be followed by one without. Never throws.
 */
export function startMonitorProgram(command: readonly [program: string, ...words: string[]], guarded: boolean) {
  const [file, ...words] = guarded ? (['setpriv', '--pdeathsig', 'KILL', ...command] as const) : command;
  // Where a session's PATH leaves out the administrator's directories, the programs are still in them.
  const path = [process.env['PATH'], '/usr/sbin', '/sbin', '/usr/bin', '/bin'].filter(Boolean).join(':');
  return execa(file, words, {
    buffer: false,
    reject: false,
    stdin: 'ignore',
    env: { PATH: path, LC_ALL: 'C' },
  });
}
