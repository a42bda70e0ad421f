import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PolicyTexts } from '../model/policy-texts.ts';
import type { KeptPolicy, PolicyVersion, VersionOrigin } from '../model/policy-version.ts';
import { identityOfTexts } from './policy-texts.ts';
import { writeFileAtomically } from './write-file.ts';

/** The policies that were in force, in the state directory. */
export interface History {
  /** Keeps a policy that came into force; nothing, if it says what the newest one does. Throws what writing throws. */
  record(texts: PolicyTexts, how: { readonly origin: VersionOrigin; readonly of?: number | null }): Promise<void>;
  /** Newest first. Versions that cannot be read are left out. */
  list(): Promise<readonly PolicyVersion[]>;
  /** Undefined where there is no such version, or not all of it. */
  read(number: number): Promise<KeptPolicy | undefined>;
}

/** The newest so many are kept. */
const MOST_VERSIONS = 50;

/** In bytes: fewer are kept where lists are so long that all the texts together are longer. */
const LONGEST_TEXTS = 64 * 1024 * 1024;

/** These are kept whatever their length. */
const FEWEST_VERSIONS = 2;

const VERSION = z.object({
  number: z.int().positive(),
  time: z.string(),
  origin: z.enum(['file', 'apply', 'try', 'rollback']),
  of: z.int().positive().nullable(),
  instance: z.string(),
  documents: z.array(z.string()),
  identity: z.string(),
  /** The digest of each file's text, by which its copy is called. */
  texts: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)),
});

type VersionFile = z.infer<typeof VERSION>;

/** The history below `directory`, the state directory, which is made if it is missing. */
export function createHistory(directory: string): History {
  const versions = join(directory, 'history');
  const texts = join(versions, 'texts');

  const readVersion = async (name: string): Promise<VersionFile | undefined> => {
    try {
      return VERSION.parse(JSON.parse(await readFile(join(versions, name), 'utf8')));
    } catch (error) {
      // One that is damaged costs that one.
      if (error instanceof SyntaxError || error instanceof z.ZodError || isMissing(error)) return undefined;
      throw error;
    }
  };
  const readAll = async (): Promise<readonly VersionFile[]> => {
    const names = (await namesIn(versions)).filter((name) => /^[0-9]{8}\.json$/.test(name));
    const read = await Promise.all(names.map(readVersion));
    return read.filter((one) => one !== undefined).toSorted((a, b) => b.number - a.number);
  };
  const keepText = async (text: string): Promise<string> => {
    const digest = createHash('sha256').update(text).digest('hex');
    const path = join(texts, digest);
    if (!(await isThere(path))) await writeFileAtomically(path, text, 0o640);
    return digest;
  };
  const prune = async (all: readonly VersionFile[]): Promise<void> => {
    let bytes = 0;
    const counted = new Set<string>();
    const kept: VersionFile[] = [];
    for (const version of all.slice(0, MOST_VERSIONS)) {
      for (const digest of Object.values(version.texts).filter((one) => !counted.has(one))) {
        counted.add(digest);
        bytes += (await sizeOf(join(texts, digest))) ?? 0;
      }
      if (bytes > LONGEST_TEXTS && kept.length >= FEWEST_VERSIONS) break;
      kept.push(version);
    }
    for (const { number } of all.slice(kept.length)) await rm(join(versions, fileName(number)), { force: true });
    const used = new Set(kept.flatMap((version) => Object.values(version.texts)));
    for (const digest of await namesIn(texts)) {
      if (!used.has(digest)) await rm(join(texts, digest), { force: true });
    }
  };

  return {
    async record(policy, { origin, of = null }) {
      const all = await readAll();
      const [newest] = all;
      const identity = identityOfTexts(policy);
      if (newest?.identity === identity) return;
      await mkdir(texts, { recursive: true, mode: 0o750 });
      const digests: [string, string][] = [];
      for (const [file, text] of Object.entries(policy.texts)) digests.push([file, await keepText(text)]);
      const { instance, documents } = policy;
      // What lists alone change, a program may change every minute: the newest such state stands for all of them.
      const replaces =
        newest !== undefined && origin === 'file' && newest.origin === 'file' && haveSameDocuments(newest, digests);
      const version: VersionFile = {
        number: (newest?.number ?? 0) + 1,
        time: new Date().toISOString(),
        origin,
        of,
        instance,
        documents: [...documents],
        identity,
        texts: Object.fromEntries(digests),
      };
      await writeFileAtomically(join(versions, fileName(version.number)), `${JSON.stringify(version)}\n`, 0o640);
      if (replaces) await rm(join(versions, fileName(newest.number)), { force: true });
      await prune([version, ...(replaces ? all.slice(1) : all)]);
    },
    list: async () =>
      (await readAll()).map(({ number, time, origin, of, instance, documents, identity }) => ({
        number,
        time,
        origin,
        of,
        instance,
        documents,
        identity,
      })),
    async read(number) {
      const version = await readVersion(fileName(number));
      if (version === undefined) return undefined;
      const { time, origin, of, instance, documents, identity } = version;
      const known: [string, string][] = [];
      for (const [file, digest] of Object.entries(version.texts)) {
        const text = await readText(join(texts, digest));
        if (text === undefined) return undefined;
        known.push([file, text]);
      }
      const policy: PolicyTexts = { instance, documents, texts: Object.fromEntries(known) };
      return { number, time, origin, of, instance, documents, identity, texts: policy };
    },
  };
}

function haveSameDocuments(
  { documents, texts }: VersionFile,
  digests: readonly (readonly [string, string])[],
): boolean {
  return documents.every((file) => digests.some(([name, digest]) => name === file && digest === texts[file]));
}

function fileName(number: number): string {
  return `${String(number).padStart(8, '0')}.json`;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await sizeOf(path)) !== undefined;
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
