import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Script, scriptText } from '#core/model/nft/script.ts';
import { giveToOwnerOf, writeStateFile } from '#host/files/write-file.ts';
import { explainDenied } from './state-directory.ts';

/** The boot script, which restores the rules in force, in the state directory. */
export interface LastGood {
  /** Writes the script of a change that is about to be applied, beside the last good one. Throws what writing throws. */
  prepare(whole: Script): Promise<void>;
  /** Makes the prepared script the last good one. */
  commit(): Promise<void>;
  /** Writes the script that the host boots with if the last good one does not load. Throws what writing throws. */
  keepFallback(fallback: Script): Promise<void>;
  /** Appends a change of elements to the last good script; returns false, and appends nothing, if the changes have grown so long that a whole script is due. Throws what writing throws. */
  append(change: Script): Promise<boolean>;
  /** Reads the last good script and the changes since; undefined if there is none. Throws what reading throws. */
  read(): Promise<LastGoodScripts | undefined>;
}

/** Two scripts to load one after the other. */
export interface LastGoodScripts {
  readonly whole: Script;
  readonly changes: Script;
}

/** The name, in the state directory, of the script that plain `nft -f` loads at boot. */
const LAST_GOOD_FILE = 'last-good.nft';

/** The name of the script that plain `nft -f` loads at boot if that one is refused. */
const FALLBACK_FILE = 'fallback.nft';

/**
 * Changes of elements since then. They have a file of their own: if power fails while a line is written, nft refuses this
 * file, but still loads the other.
 */
const CHANGES_FILE = 'last-good-changes.nft';

/** Some 10,000 changes of one member, which nft loads in less than a second. */
const MAX_CHANGES_BYTES = 2 * 1024 * 1024;

/** The last good script in `directory`, which is created if it is missing. */
export function createLastGood(directory: string): LastGood {
  const next = join(directory, 'next.nft');
  const changes = join(directory, CHANGES_FILE);
  let prepared = false;
  let fallbackKept: string | undefined;
  const lastGood: LastGood = {
    async prepare(whole) {
      prepared = false;
      await mkdir(directory, { recursive: true, mode: 0o750 });
      await writeStateFile(next, scriptText(whole));
      prepared = true;
    },
    async commit() {
      if (prepared) {
        // INVARIANT: changes never outlive the script that they belong to, or they would apply to another.
        await rm(changes, { force: true });
        await rename(next, join(directory, LAST_GOOD_FILE));
      }
      prepared = false;
    },
    async keepFallback(fallback) {
      const text = scriptText(fallback);
      if (text === fallbackKept) return;
      await writeStateFile(join(directory, FALLBACK_FILE), text);
      fallbackKept = text;
    },
    async append(change) {
      const text = scriptText(change);
      if ((await sizeOf(changes)) + text.length > MAX_CHANGES_BYTES) return false;
      await mkdir(directory, { recursive: true, mode: 0o750 });
      const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
      const handle = await open(changes, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o640);
      try {
        if ((await handle.stat()).size === 0) await giveToOwnerOf(directory, handle);
        await handle.appendFile(text);
      } finally {
        await handle.close();
      }
      return true;
    },
    async read() {
      const whole = await readScript(join(directory, LAST_GOOD_FILE));
      return whole === undefined ? undefined : { whole, changes: (await readScript(changes)) ?? [] };
    },
  };
  return {
    prepare: (whole) => explainDenied(directory, () => lastGood.prepare(whole)),
    commit: () => explainDenied(directory, () => lastGood.commit()),
    keepFallback: (fallback) => explainDenied(directory, () => lastGood.keepFallback(fallback)),
    append: (change) => explainDenied(directory, () => lastGood.append(change)),
    read: () => explainDenied(directory, () => lastGood.read()),
  };
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

async function readScript(path: string): Promise<Script | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    return text.split('\n').map((line) => ({ text: line, span: undefined }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
