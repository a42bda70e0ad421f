import { execa } from 'execa';
import { printable } from '#core/diagnostics/printable.ts';
import { errorText } from '#core/diagnostics/error-text.ts';

/** Tells systemd how the daemon is; does nothing where systemd did not ask to be told. */
export interface Notifier {
  /** The daemon is up, or done reloading. */
  ready(status: string): void;
  /** The daemon begins to reload. */
  reloading(): void;
  /** What `systemctl status` shows. */
  status(text: string): void;
  stopping(): void;
  /** Keeps systemd's watchdog from biting for as long as `isHealthy` says so; returns what ends that. */
  startWatchdog(isHealthy: () => boolean): () => void;
  /** Resolves when everything told so far has been sent or has failed. */
  flush(): Promise<void>;
}

/** Where failures go, and whose environment speaks for systemd. */
export interface NotifierOptions {
  /** A failure to tell systemd; the same failure in a row comes once. */
  readonly onError: (error: Error) => void;
  readonly environment?: NodeJS.ProcessEnv;
}

/** `ready` carries a status too. */
interface Message {
  readonly kind: 'ready' | 'reloading' | 'status' | 'stopping' | 'watchdog';
  readonly assignments: readonly string[];
}

const SEND_TIMEOUT_MILLISECONDS = 5_000;
const LONGEST_WATCHDOG_MILLISECONDS = 3_600_000;

/**
 * A notifier that speaks through the `systemd-notify` program, since Node has no datagram sockets of the Unix kind;
 * the unit therefore needs NotifyAccess=all. Nothing it does throws.
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
    // A keep-alive goes first, and one is enough; a status is worth nothing once a newer one is known.
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
        if (saysHealthy(isHealthy, onError)) enqueue({ kind: 'watchdog', assignments: ['WATCHDOG=1'] });
      }, milliseconds);
      timer.unref();
      return () => clearInterval(timer);
    },
    flush: async () => {
      while (sending !== undefined) await sending;
    },
  };
}

function saysHealthy(isHealthy: () => boolean, onError: (error: Error) => void): boolean {
  try {
    return isHealthy();
  } catch (cause) {
    onError(new Error('cannot tell whether the daemon is healthy', { cause }));
    return false;
  }
}

/** Half of what systemd waits for a keep-alive (sd_watchdog_enabled(3)); undefined if it waits for none of ours. */
function watchdogMilliseconds(environment: NodeJS.ProcessEnv): number | undefined {
  const pid = environment['WATCHDOG_PID'] ?? '';
  if (pid !== '' && pid !== String(process.pid)) return undefined;
  const microseconds = environment['WATCHDOG_USEC'] ?? '';
  if (!/^[1-9][0-9]*$/.test(microseconds)) return undefined;
  // Node takes an interval of 2^31 ms or more for 1 ms.
  return Math.min(Math.max(Math.floor(Number(microseconds) / 2_000), 1), LONGEST_WATCHDOG_MILLISECONDS);
}

/** Assignments are lines, so a line break in the text would be read as another assignment. */
function statusAssignment(text: string): string {
  return `STATUS=${printable(text.replace(/\p{Cc}+/gu, ' ').trim())}`;
}

/** CLOCK_MONOTONIC, which is the clock of hrtime on Linux. */
function monotonicMicroseconds(): bigint {
  return process.hrtime.bigint() / 1_000n;
}
