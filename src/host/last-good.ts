import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Script, scriptText } from '../model/script.ts';
import { writeFileAtomically } from './write-file.ts';

/** The script that boots into what is in force, in the state directory. */
export interface LastGood {
  /** Writes what is about to be applied, beside the last good one. Throws what writing throws. */
  prepare(whole: Script): Promise<void>;
  /** Makes what was prepared the last good one. */
  commit(): Promise<void>;
  /** The last good one; undefined where there is none. Throws what reading throws. */
  read(): Promise<Script | undefined>;
}

/** The name, in the state directory, of the script that plain `nft -f` loads at boot. */
const LAST_GOOD_FILE = 'last-good.nft';

/** The last good script below `directory`, which is made if it is missing. */
export function createLastGood(directory: string): LastGood {
  const next = join(directory, 'next.nft');
  let prepared = false;
  return {
    async prepare(whole) {
      prepared = false;
      await mkdir(directory, { recursive: true, mode: 0o750 });
      await writeFileAtomically(next, scriptText(whole), 0o640);
      prepared = true;
    },
    async commit() {
      if (prepared) await rename(next, join(directory, LAST_GOOD_FILE));
      prepared = false;
    },
    async read() {
      try {
        const text = await readFile(join(directory, LAST_GOOD_FILE), 'utf8');
        return text.split('\n').map((line) => ({ text: line, span: undefined }));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
  };
}
