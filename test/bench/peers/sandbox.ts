import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ran, type RunOptions, runBy } from '../run.ts';

// Programs that keep their files in fixed places get copies of those folders here, and of /run and /var/log nothing.
const SCRIPT = `set -e
copies=$1; shift
for folder; do
  mkdir -p "$copies$folder"
  cp -a "$folder/." "$copies$folder/"
  mount --bind "$copies$folder" "$folder"
done
mount -t tmpfs none /run
mount -t tmpfs none /var/log
mkdir /run/dbus
echo ready
exec cat >/dev/null
`;

/** One network namespace with a file system view of its own, where a program that writes to /etc may be run. */
export class Sandbox {
  readonly #holder: ChildProcess;
  readonly #copies: string;
  readonly #entry: readonly string[];

  private constructor(holder: ChildProcess, copies: string) {
    this.#holder = holder;
    this.#copies = copies;
    this.#entry = ['nsenter', '--target', String(holder.pid), '--mount', '--net'];
  }

  /** Opens one in a namespace, with copies of `folders` kept within `scratch`. Throws where that is not possible. */
  static async open(scratch: string, namespace: string, folders: readonly string[]): Promise<Sandbox> {
    const copies = mkdtempSync(join(scratch, 'sandbox-'));
    // The mounts live as long as this process, which ends with its standard input.
    const holder = spawn(
      'nsenter',
      [
        `--net=/run/netns/${namespace}`,
        ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', SCRIPT, 'sh'],
        copies,
        // A file of the folder may be named by way of a link, as /lib is one.
        ...folders.map((folder) => realpathSync(folder)),
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const ready = await Promise.race([once(holder.stdout, 'data'), once(holder, 'close')]);
    if (String(ready[0]).trim() === 'ready') return new Sandbox(holder, copies);
    rmSync(copies, { recursive: true, force: true });
    throw new Error(`no mount namespace to be had in ${namespace}`);
  }

  /** Reads a file of the copied folders. */
  read(path: string): string {
    return readFileSync(join(this.#copies, path), 'utf8');
  }

  /** Writes a file of the copied folders. */
  write(path: string, text: string): void {
    writeFileSync(join(this.#copies, path), text);
  }

  /** Runs a program inside to its end; throws what {@link runBy} throws. */
  run(argv: readonly string[], options?: RunOptions): Ran {
    return runBy(this.#entry, argv, options);
  }

  /** Starts a program inside that goes on; it is killed with this process at the latest. */
  spawn(argv: readonly string[]): ChildProcess {
    const command = [...this.#entry, 'setpriv', '--pdeathsig', 'KILL', ...argv];
    return spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'ignore', 'ignore'] });
  }

  /** Gives the view up; whoever started a program inside has ended it before. */
  async close(): Promise<void> {
    const closed = once(this.#holder, 'close');
    this.#holder.stdin?.end();
    await closed;
    rmSync(this.#copies, { recursive: true, force: true });
  }
}
