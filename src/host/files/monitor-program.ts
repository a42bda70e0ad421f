import { execa } from 'execa';

/** A program that runs for as long as this process does and reports on its output. */
export type MonitorProgram = ReturnType<typeof startMonitorProgram>;

/** Whether the kernel must end a monitor with this process; under systemd, systemd does. */
export function isGuardNeeded(): boolean {
  return (process.env['NOTIFY_SOCKET'] ?? '') === '';
}

/**
 * Starts a program that monitors. With `guarded`, the kernel ends it when this process dies, however it dies: a monitor with
 * nothing to write never meets a broken pipe, and would live on. Not every setpriv knows the option, and Debian's does
 * nothing without CAP_SETPCAP, so if a start fails, try again without it. Never throws.
 */
export function startMonitorProgram(command: readonly [program: string, ...words: string[]], guarded: boolean) {
  const [file, ...words] = guarded ? (['setpriv', '--pdeathsig', 'KILL', ...command] as const) : command;
  // The programs are in the administrator's directories, which a session's PATH may lack.
  const path = [process.env['PATH'], '/usr/sbin', '/sbin', '/usr/bin', '/bin'].filter(Boolean).join(':');
  return execa(file, words, {
    buffer: false,
    reject: false,
    stdin: 'ignore',
    env: { PATH: path, LC_ALL: 'C' },
  });
}
