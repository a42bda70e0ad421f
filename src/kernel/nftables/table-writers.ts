import { execa } from 'execa';

/** Records which processes change tables of this network namespace, of any family, while it listens. */
export interface TableWriterLog {
  /** Starts listening, if it is not listening already. */
  listen(): void;
  /** The processes that writers the table generations after `after` up to `last`, as `name (process 123)`; empty if unknown. */
  of(after: number, last: number): readonly string[];
  /** Stops listening, and forgets. */
  stop(): void;
}

/** How many generations to remember. */
const MAX_REMEMBERED = 1_000;

/** Longer than any line of interest; other lines, which can contain a set of any size, are cut. */
const MAX_LINE_LENGTH = 200;

/** The kernel's notices name the process that committed (NFTA_GEN_PROC_NAME); this is how nft prints them. */
const GENERATION = /^# new generation ([0-9]+) by process ([0-9]+) \(([^)\n]*)\)/;

/**
 * Listens by `nft monitor`, which survives notices that the kernel could not deliver. The program reads all tables when it
 * starts, and gets a notice of every element that any process adds, so it runs only when it is needed.
 */
export function createTableWriterLog(command = 'nft'): TableWriterLog {
  const writers = new Map<number, string>();
  let end: (() => void) | undefined;
  const read = (line: string): void => {
    const [, generation, process, name] = GENERATION.exec(line) ?? [];
    if (generation === undefined) return;
    writers.set(Number(generation), `${name ?? ''} (process ${process ?? ''})`);
    for (const old of writers.keys()) {
      if (writers.size <= MAX_REMEMBERED) break;
      writers.delete(old);
    }
  };
  return {
    listen() {
      if (end !== undefined) return;
      const monitor = execa(command, ['monitor'], {
        stdin: 'ignore',
        stderr: 'ignore',
        reject: false,
        buffer: false,
        killSignal: 'SIGKILL',
        env: { PATH: `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`, LC_ALL: 'C' },
      });
      let line = '';
      monitor.stdout.setEncoding('utf8').on('data', (text: string) => {
        const [rest = '', ...lines] = text.split('\n');
        line = (line + rest).slice(0, MAX_LINE_LENGTH);
        for (const next of lines) {
          read(line);
          line = next.slice(0, MAX_LINE_LENGTH);
        }
      });
      const stop = (): void => void monitor.kill();
      end = stop;
      // If the program dies, the next call of `listen` starts it again.
      void monitor.finally(() => {
        if (end === stop) end = undefined;
      });
    },
    of: (after, last) => {
      const names = [...writers]
        .filter(([generation]) => generation > after && generation <= last)
        .map(([, name]) => name);
      return [...new Set(names)];
    },
    stop() {
      end?.();
      end = undefined;
      writers.clear();
    },
  };
}
