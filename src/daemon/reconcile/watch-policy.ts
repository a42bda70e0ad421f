import type { Logger } from 'pino';
import type { PolicyReader } from '#core/model/policy/policy-reader.ts';
import { dropInDirectory } from '#host/files/drop-ins.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';
import { createSettling, type Settling } from '#host/files/settling.ts';
import { type FileWatch, watchFiles } from '#host/files/watch-files.ts';
import { createWriteEvidence, type WriteEvidence } from '#host/files/write-evidence.ts';
import { createWriteNotices, type WriteNotices } from '#host/files/write-notices.ts';
import type { PendingTriggers } from './pending-triggers.ts';

/** What the policy files are watched with. */
export interface PolicyWatchOptions {
  readonly policyFile: string;
  readonly ownership: 'root' | 'any';
  readonly runtimeDirectory: string;
  readonly pending: PendingTriggers;
  readonly log: Logger;
}

/** A file that was put in place or closed is complete; it only waits for others that come with it. */
const AFTER_REPLACEMENT_MILLISECONDS = 5;

/** Of a file written in place the closing is awaited; where no notice comes of it, the file is looked at after this long. */
const AFTER_WRITE_MILLISECONDS = 100;

/** Reads the files that the policy consists of, and marks the policy as pending when one of them changes. */
export class PolicyWatch {
  readonly settling: Settling;
  readonly reader: PolicyReader;
  readonly #options: PolicyWatchOptions;
  readonly #own: readonly string[];
  readonly #evidence: WriteEvidence;
  readonly #notices: WriteNotices;
  #watched: readonly string[];
  #files: FileWatch | undefined;

  /** Reads at once; nothing is watched before `start`. */
  constructor(options: PolicyWatchOptions) {
    const { policyFile, ownership, runtimeDirectory, log } = options;
    this.#options = options;
    this.#own = [policyFile, dropInDirectory(policyFile)];
    this.#watched = this.#own;
    this.#notices = createWriteNotices({
      markDirectory: runtimeDirectory,
      onNotice: (directory, name, notice) => {
        this.#evidence.onNotice(directory, name, notice);
        if (notice === 'closed') this.#files?.onClosed(directory, name);
      },
      onLost: () => this.#evidence.onLost(),
      onTrouble: (error) => log.warn({ err: error }, 'files written in place: quiet tells that their writers are done'),
    });
    this.#evidence = createWriteEvidence(this.#notices);
    this.settling = createSettling(this.#evidence);
    this.reader = createPolicyReader(policyFile, ownership, this.settling);
  }

  /** Why notices of writers that close a file do not come; undefined where they do. */
  trouble(): string | undefined {
    return this.#notices.trouble();
  }

  /** Watches, and resolves when no change is missed any more. */
  async start(): Promise<void> {
    const { pending, log } = this.#options;
    this.#files = watchFiles({
      paths: this.#watched,
      onChange: (kind) =>
        pending.mark('policy', kind === 'modified' ? AFTER_WRITE_MILLISECONDS : AFTER_REPLACEMENT_MILLISECONDS),
      onError: (error) => log.warn({ err: error }, 'files: the watch had trouble and goes on'),
      evidence: this.#evidence,
      notices: this.#notices,
    });
    await this.#files.ready();
  }

  /** Watches the files that were read, too. */
  setFiles(read: readonly string[]): void {
    const paths = [...new Set([...this.#own, ...read])];
    if (paths.join('\0') === this.#watched.join('\0')) return;
    this.#watched = paths;
    this.#files?.setPaths(paths);
    // A file just learned of was read before it was watched; what changed in between shows when it is read again.
    void this.#files?.ready().then(() => this.#options.pending.mark('policy', AFTER_REPLACEMENT_MILLISECONDS));
  }

  /** Resolves when the files known now are watched, and their writers noticed. */
  async ready(): Promise<void> {
    await this.#files?.ready();
    await this.#notices.ready();
  }

  close(): void {
    this.#files?.close();
    this.#notices.close();
  }
}
