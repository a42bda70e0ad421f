import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { HeldPolicy } from '#core/model/policy/held-policy.ts';
import { writeStateFile } from '#host/files/write-file.ts';
import { explainDenied } from './state-directory.ts';

/** The file that keeps a policy override, so that a restart finds it. */
export interface OverrideFile {
  /** Reads the override; undefined if there is none. Throws what reading throws, and an Error for a damaged file. */
  read(): Promise<HeldPolicy | undefined>;
  /** Replaces the override; undefined removes it. Throws what writing throws, and then the old one is still there. */
  write(held: HeldPolicy | undefined): Promise<void>;
}

const TEXTS = z.object({
  instance: z.string(),
  documents: z.array(z.string()),
  texts: z.record(z.string(), z.string()),
});

const HELD = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('tried'),
    texts: TEXTS,
    file: z.string().optional(),
    before: TEXTS,
    files: z.string(),
    deadline: z.object({ bootId: z.string(), uptimeSeconds: z.number() }),
  }),
  z.object({
    kind: z.literal('pinned'),
    texts: TEXTS,
    files: z.string(),
    origin: z.enum(['file', 'apply', 'try', 'rollback']),
    of: z.int().nullable(),
  }),
]);

/** The override file in `directory`, the state directory, which is created if it is missing. */
export function createOverrideFile(directory: string): OverrideFile {
  const path = join(directory, 'held-policy.json');
  const overrideFile: OverrideFile = {
    async read() {
      try {
        return HELD.parse(JSON.parse(await readFile(path, 'utf8')));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw new Error(`\`${path}\` cannot be read`, { cause: error });
      }
    },
    async write(held) {
      if (held === undefined) {
        await rm(path, { force: true });
        return;
      }
      await mkdir(directory, { recursive: true, mode: 0o750 });
      await writeStateFile(path, `${JSON.stringify(held)}\n`);
    },
  };
  return {
    read: () => explainDenied(directory, () => overrideFile.read()),
    write: (held) => explainDenied(directory, () => overrideFile.write(held)),
  };
}
