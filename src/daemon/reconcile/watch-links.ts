import type { HostInterface } from '#core/model/policy/host.ts';
import { isGuardNeeded, type MonitorProgram, startMonitorProgram } from '#host/files/monitor-program.ts';
import { NetlinkError, readInterfaces } from '#kernel/links/read-interfaces.ts';

/** A standing watch over the interfaces of this network namespace. */
export interface InterfaceWatch {
  /** The interfaces as they are now, read afresh from the kernel. Throws a NetlinkError; never hangs. */
  snapshot(): Promise<readonly HostInterface[]>;
  /** Ends the watch; no callback runs after it. */
  close(): void;
}

/** What to call when interfaces change, and when the watch had trouble that it recovers from by itself. */
export interface WatchInterfacesOptions {
  readonly onChange: () => void;
  /** The same trouble comes once, until notifications come again. */
  readonly onError: (error: Error) => void;
  /** How often to look although no event came; five times as often while there can be none. */
  readonly pollMilliseconds?: number;
  /** The `ip` program of iproute2, by name or path. */
  readonly program?: string;
}

// Events may come by the thousand; the interfaces are read at most this often because of them.
const CHECK_INTERVAL_MILLISECONDS = 50;
const FIRST_RETRY_MILLISECONDS = 100;
const LAST_RETRY_MILLISECONDS = 5_000;
const SUBSCRIBED_MILLISECONDS = 1_000;
const RECEIVE_BUFFER_BYTES = 1 << 20;

/**
 * Calls `onChange` whenever the names, indices, addresses or ties to each other of interfaces have changed since the last snapshot, or
 * notifications were lost. Events are hints only: they cause a read, and the read is compared with the one before, so
 * carrier, counters, lifetimes and the like wake nobody. Throws a NetlinkError if the interfaces cannot be read.
 */
export async function watchInterfaces(options: WatchInterfacesOptions): Promise<InterfaceWatch> {
  const { onChange, onError, pollMilliseconds = 10_000, program = 'ip' } = options;
  let closed = false;
  let monitor: MonitorProgram | undefined;
  let known: string | undefined;
  let dirty = false;
  let overdue = false;
  let checking = false;
  let checkedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let dueAt = Number.POSITIVE_INFINITY;
  let retryTimer: NodeJS.Timeout | undefined;
  let retryMilliseconds = FIRST_RETRY_MILLISECONDS;
  let guarded = isGuardNeeded();
  const reported = new Set<string>();
  let reads: Promise<unknown> = Promise.resolve();
  const names = new Map<number, readonly string[]>();

  // INVARIANT: reads happen one after another. A snapshot handed out is then what the next check compares with, so
  // a change that comes after it is never taken for something the caller has seen.
  const read = (): Promise<{ readonly interfaces: readonly HostInterface[]; readonly changed: boolean }> => {
    const next = reads.then(async () => {
      const interfaces = (await readInterfaces()).map((one) => ({ ...one, formerNames: formerNames(names, one) }));
      for (const index of names.keys()) if (!interfaces.some((one) => one.index === index)) names.delete(index);
      const before = known;
      known = fingerprint(interfaces);
      return { interfaces, changed: known !== before };
    });
    reads = next.catch(() => {});
    return next;
  };

  const trouble = (error: Error): void => {
    if (closed || reported.has(error.message)) return;
    reported.add(error.message);
    onError(error);
  };

  const checkAt = (time: number): void => {
    if (closed || checking || time >= dueAt) return;
    clearTimeout(timer);
    dueAt = time;
    timer = setTimeout(() => void check(), Math.max(0, time - performance.now()));
  };

  const markDirty = (): void => {
    dirty = true;
    checkAt(checkedAt + CHECK_INTERVAL_MILLISECONDS);
  };

  const check = async (): Promise<void> => {
    dueAt = Number.POSITIVE_INFINITY;
    checking = true;
    dirty = false;
    const outcome = await read().catch(asError);
    checking = false;
    checkedAt = performance.now();
    const failed = outcome instanceof Error;
    const pause = monitor === undefined || failed ? pollMilliseconds / 5 : pollMilliseconds;
    checkAt(checkedAt + (dirty && !failed ? CHECK_INTERVAL_MILLISECONDS : pause));
    if (closed) return;
    if (failed) {
      overdue = true;
      trouble(outcome);
    } else if (overdue || outcome.changed) {
      overdue = false;
      onChange();
    }
  };

  const lose = (what: string, cause?: unknown): void => {
    overdue = true;
    markDirty();
    trouble(new NetlinkError('lost', `interface notifications were lost: ${what}`, { cause }));
  };

  const startMonitor = (): void => {
    const started = startIpMonitor(program, guarded);
    monitor = started;
    const startedAt = performance.now();
    started.stdout?.on('data', () => {
      reported.clear();
      markDirty();
    });
    started.stderr?.on('data', (text: Buffer) => lose(text.toString().trim()));
    void started.then((result) => {
      if (closed) return;
      monitor = undefined;
      lose(`\`ip monitor\` ended: ${result.shortMessage ?? `exit code ${result.exitCode}`}`, result.cause);
      const lived = performance.now() - startedAt > LAST_RETRY_MILLISECONDS;
      if (!lived) guarded = !guarded;
      retryMilliseconds = lived ? FIRST_RETRY_MILLISECONDS : Math.min(retryMilliseconds * 2, LAST_RETRY_MILLISECONDS);
      retryTimer = setTimeout(startMonitor, retryMilliseconds);
    });
    // The program does not say when it has subscribed. These looks are for what changed before it had.
    markDirty();
    setTimeout(markDirty, SUBSCRIBED_MILLISECONDS / 10).unref();
    setTimeout(markDirty, SUBSCRIBED_MILLISECONDS).unref();
  };

  await read();
  startMonitor();
  return {
    snapshot: async () => (await read()).interfaces,
    close: () => {
      closed = true;
      clearTimeout(timer);
      clearTimeout(retryTimer);
      monitor?.kill('SIGKILL');
    },
  };
}

// The netlink package is used for asking but not for listening: when a socket overflows libuv reports POLLERR, for
// which the package makes an error with a null `syscall`, and node-addon-api answers that null by ending the process
// (netlink 0.3.0, binding.cc, PollHandler). `ip monitor` says so on its standard error and goes on listening. Its
// output is not read, only noticed.
function startIpMonitor(program: string, guarded: boolean): MonitorProgram {
  const words = ['-rcvbuf', String(RECEIVE_BUFFER_BYTES), '-oneline', 'monitor', 'link', 'address'];
  return startMonitorProgram([program, ...words], guarded);
}

/** Remembers by which name an interface is seen now; returns the others that it was seen by. */
function formerNames(names: Map<number, readonly string[]>, { index, name }: HostInterface): readonly string[] {
  const former = (names.get(index) ?? []).filter((one) => one !== name);
  names.set(index, [...former, name]);
  return former;
}

function fingerprint(interfaces: readonly HostInterface[]): string {
  return interfaces
    .map(({ index, name, addresses, altnames = [], kind, master, lower }) => {
      const held = addresses.map(({ family, value }) => `${family}=${value.toString(16)}`).join(',');
      return `${index} ${name} ${held} ${altnames.join(' ')} ${kind} ${master} ${lower}`;
    })
    .join('\n');
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
