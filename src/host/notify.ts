import { execa } from 'execa';
import { errorText } from '#core/diagnostics/error-text.ts';
import { printable } from '#core/diagnostics/printable.ts';

/** Reports the daemon's state to systemd; does nothing if systemd did not ask for it. */
export interface Notifier {
  /** The daemon is up, or done reloading. */
  ready(status: string): void;
  /** The daemon begins to reload. */
  reloading(): void;
  /** What `systemctl status` shows. */
  status(text: string): void;
  stopping(): void;
  /** Feeds systemd's watchdog as long as `isHealthy` returns true; returns a function that stops it. */
  startWatchdog(isHealthy: () => boolean): () => void;
  /** Resolves when all reports so far have been sent or have failed. */
  flush(): Promise<void>;
}

/** Where failures go, and the environment that systemd has set. */
export interface NotifierOptions {
  /** A failure to reach systemd; repeated failures are reported once. */
  readonly onError: (error: Error) => void;
  readonly environment?: NodeJS.ProcessEnv;
}

/** `ready` carries a status too. */
interface Message {
  readonly kind: 'ready' | 'reloading' | 'status' | 'stopping' | 'watchdog';
  readonly assignments: readonly string[];
}

const SEND_TIMEOUT_MILLISECONDS = 5_000;
const MAX_WATCHDOG_MILLISECONDS = 3_600_000;

/**
 * A notifier that runs the `systemd-notify` program, since Node has no Unix datagram sockets; the unit therefore needs
 * NotifyAccess=all. Never throws.
 */
export function createNotifier({ onError, environment = process.env }: NotifierOptions): Notifier {
  const enabled = (environment['NOTIFY_SOCKET'] ?? '') !== '';
  let queue: Message[] = [];
  let sending: Promise<void> | undefined;
  let lastFailure: string | undefined;

  const send = async ({ assignments }: Message): Promise<void> => {
    try {
      await execa('systemd-notify', assignments, {
        env: environment,
        extendEnv: false,
        stdin: 'ignore',
        timeout: SEND_TIMEOUT_MILLISECONDS,
        killSignal: 'SIGKILL',
      });
      lastFailure = undefined;
    } catch (cause) {
      const reason = errorText(cause);
      if (reason !== lastFailure) onError(new Error(`cannot notify systemd: ${reason}`, { cause }));
      lastFailure = reason;
    }
  };

  const drain = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await send(next);
    sending = undefined;
  };

  const enqueue = (message: Message): void => {
    if (!enabled) return;
    // A keep-alive goes first, and one is enough; a newer status replaces an older one.
    const overtaken = message.kind === 'ready' ? 'status' : message.kind;
    const waiting = message.kind === 'reloading' ? queue : queue.filter(({ kind }) => kind !== overtaken);
    queue = message.kind === 'watchdog' ? [message, ...waiting] : [...waiting, message];
    sending ??= drain();
  };

  return {
    ready: (status) => enqueue({ kind: 'ready', assignments: ['READY=1', statusAssignment(status)] }),
    reloading: () =>
      enqueue({ kind: 'reloading', assignments: ['RELOADING=1', `MONOTONIC_USEC=${monotonicMicroseconds()}`] }),
    status: (text) => enqueue({ kind: 'status', assignments: [statusAssignment(text)] }),
    stopping: () => enqueue({ kind: 'stopping', assignments: ['STOPPING=1'] }),
    startWatchdog: (isHealthy) => {
      const milliseconds = enabled ? watchdogMilliseconds(environment) : undefined;
      if (milliseconds === undefined) return () => {};
      const timer = setInterval(() => {
        if (checkHealth(isHealthy, onError)) enqueue({ kind: 'watchdog', assignments: ['WATCHDOG=1'] });
      }, milliseconds);
      timer.unref();
      return () => clearInterval(timer);
    },
    flush: async () => {
      while (sending !== undefined) await sending;
    },
  };
}

function checkHealth(isHealthy: () => boolean, onError: (error: Error) => void): boolean {
  try {
    return isHealthy();
  } catch (cause) {
    onError(new Error('cannot tell whether the daemon is healthy', { cause }));
    return false;
  }
}

/** Half of systemd's watchdog timeout (sd_watchdog_enabled(3)); undefined if it expects no keep-alives from this process. */
function watchdogMilliseconds(environment: NodeJS.ProcessEnv): number | undefined {
  const pid = environment['WATCHDOG_PID'] ?? '';
  if (pid !== '' && pid !== String(process.pid)) return undefined;
  const microseconds = environment['WATCHDOG_USEC'] ?? '';
  if (!/^[1-9][0-9]*$/.test(microseconds)) return undefined;
  // Node treats an interval of 2^31 ms or more as 1 ms.
  return Math.min(Math.max(Math.floor(Number(microseconds) / 2_000), 1), MAX_WATCHDOG_MILLISECONDS);
}

/** Assignments are lines, so a line break in the text would begin another assignment. */
function statusAssignment(text: string): string {
  return `STATUS=${printable(text.replace(/\p{Cc}+/gu, ' ').trim())}`;
}

/** CLOCK_MONOTONIC, which is the clock of hrtime on Linux. */
function monotonicMicroseconds(): bigint {
  return process.hrtime.bigint() / 1_000n;
}
