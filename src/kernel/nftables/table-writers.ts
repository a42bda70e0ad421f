import { execa } from 'execa';

/** Who changes tables, of this network namespace and any family, as far as it is listened to. */
export interface TableWriterLog {
  /** Begins to listen; while it is listened to already, nothing. */
  listen(): void;
  /** Who made the table generations after `after` up to `last`, as `name (process 123)`; empty where nobody knows. */
  of(after: number, last: number): readonly string[];
  /** Listens no more, and forgets. */
  stop(): void;
}

/** Of so many generations it is remembered who made them. */
const MOST_REMEMBERED = 1_000;

/** More than a line of interest has; the others, which can hold a set of any size, are not kept. */
const LONGEST_LINE = 200;

/** The kernel's notices name the process that committed (NFTA_GEN_PROC_NAME); the program nft puts it so. */
const GENERATION = /^# new generation ([0-9]+) by process ([0-9]+) \(([^)\n]*)\)/;

/**
 * Listens by `nft monitor`, which survives notices that the kernel could not deliver. It reads all tables as it begins,
 * and is told each element that anybody adds, so it is for times of need.
 */
export function createTableWriterLog(command = 'nft'): TableWriterLog {
  const made = new Map<number, string>();
  let end: (() => void) | undefined;
  const read = (line: string): void => {
    const [, generation, process, name] = GENERATION.exec(line) ?? [];
    if (generation === undefined) return;
    made.set(Number(generation), `${name ?? ''} (process ${process ?? ''})`);
    for (const old of made.keys()) {
      if (made.size <= MOST_REMEMBERED) break;
      made.delete(old);
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
        line = (line + rest).slice(0, LONGEST_LINE);
        for (const next of lines) {
          read(line);
          line = next.slice(0, LONGEST_LINE);
        }
      });
      const stop = (): void => void monitor.kill();
      end = stop;
      // One that dies is begun again by who asks the next time.
      void monitor.finally(() => {
        if (end === stop) end = undefined;
      });
    },
    of: (after, last) => {
      const names = [...made]
        .filter(([generation]) => generation > after && generation <= last)
        .map(([, name]) => name);
      return [...new Set(names)];
    },
    stop() {
      end?.();
      end = undefined;
      made.clear();
    },
  };
}
