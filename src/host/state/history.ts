import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PolicyReader } from '#core/model/policy/policy-reader.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import type { JudgedVersion, KeptPolicy, PolicyVersion, VersionOrigin } from '#core/model/policy/policy-version.ts';
import { isOwnDirectory, makeOwnDirectory, piecesOfOwnFile, readOwnFile } from '#host/files/own-file.ts';
import { identityOfTexts, readerOfTexts } from '#host/files/policy-texts.ts';
import { writeStateFile } from '#host/files/write-file.ts';
import {
  DIGEST,
  fileName,
  haveSameDocuments,
  isThere,
  JUDGED,
  type JudgedFile,
  MAX_VERSION_FILE_BYTES,
  namesIn,
  sizeOf,
  UNFINISHED,
  VERSION,
  type VersionFile,
} from './history-files.ts';
import { explainDenied } from './state-directory.ts';

/** The policies that have been in force, in the state directory. */
export interface History {
  /**
   * Keeps a policy that came into force; nothing, if it says what the newest one does. Returns the newest one's number.
   * Throws what writing throws.
   */
  record(texts: PolicyTexts, how: { readonly origin: VersionOrigin; readonly of?: number | null }): Promise<number>;
  /**
   * Notes that live flows were judged by this policy, after the version `version` came into force; undefined for the
   * newest. Throws what writing throws.
   */
  noteJudged(texts: PolicyTexts, version: number | undefined): Promise<void>;
  /**
   * The policy that live flows were judged by last, and those that came into force since, oldest first; where the former
   * is not known, the newest one.
   */
  sinceJudged(): Promise<readonly JudgedVersion[]>;
  /** Newest first. Versions that cannot be read are left out. */
  list(): Promise<readonly PolicyVersion[]>;
  /** Undefined where there is no such version, or not all of it. */
  read(number: number): Promise<KeptPolicy | undefined>;
  /** As `read`, and the texts are read from disk as they are taken. */
  open(number: number): Promise<OpenedVersion | undefined>;
}

/** A policy that was in force, whose texts are still on disk. */
export interface OpenedVersion extends PolicyVersion {
  readonly texts: readonly OpenedText[];
}

/** A file's text, to be read piece by piece; reading throws what reading throws. */
export interface OpenedText {
  readonly file: string;
  readonly bytes: number;
  readonly read: () => AsyncIterable<string>;
}

/** How many of the newest versions to keep. */
const MAX_VERSIONS = 50;

/** The size limit of all texts together, in bytes: with long lists, fewer versions are kept. */
const MAX_TOTAL_TEXT_BYTES = 64 * 1024 * 1024;

/** The size limit of one text, in bytes: the daemon accepts no longer policy for a trial. */
const MAX_TEXT_BYTES = 256 * 1024 * 1024;

/** How many versions to keep whatever their size. */
const MIN_VERSIONS = 2;

/** How many of the newest policies since live flows were examined to return. */
const MAX_SINCE_JUDGED = 15;

/** The history in `directory`, the state directory, which is created if it is missing. */
export function createHistory(directory: string): History {
  const versions = join(directory, 'history');
  const texts = join(versions, 'texts');

  const judgedFile = join(versions, 'judged.json');
  // One call must not remove copies of texts that another is about to name.
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(step: () => Promise<T>): Promise<T> => {
    const done = queue.then(step);
    queue = done.catch(() => undefined);
    return done;
  };

  const readJson = async <T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> => {
    const text = (await isOwnDirectory(versions)) ? await readOwnFile(path, MAX_VERSION_FILE_BYTES) : undefined;
    if (text === undefined) return undefined;
    try {
      return schema.parse(JSON.parse(text));
    } catch (error) {
      // A damaged file costs only that version.
      if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
      throw error;
    }
  };
  const readVersion = (name: string): Promise<VersionFile | undefined> => readJson(join(versions, name), VERSION);
  const readTexts = async ({
    instance,
    documents,
    texts: digests,
  }: Pick<VersionFile, 'instance' | 'documents' | 'texts'>): Promise<PolicyTexts | undefined> => {
    const known: [string, string][] = [];
    if (!(await isOwnDirectory(texts))) return undefined;
    for (const [file, digest] of Object.entries(digests)) {
      const text = await readOwnFile(join(texts, digest), MAX_TEXT_BYTES);
      if (text === undefined) return undefined;
      known.push([file, text]);
    }
    return { instance, documents, texts: Object.fromEntries(known) };
  };
  const openTexts = async (version: JudgedFile | VersionFile): Promise<PolicyReader | undefined> => {
    const policy = await readTexts(version);
    return policy === undefined ? undefined : readerOfTexts(policy);
  };
  const readAll = async (): Promise<readonly VersionFile[]> => {
    const names = (await namesIn(versions)).filter((name) => /^[0-9]{8}\.json$/.test(name));
    const read = await Promise.all(names.map(readVersion));
    return read.filter((version) => version !== undefined).toSorted((a, b) => b.number - a.number);
  };
  const keepText = async (text: string): Promise<string> => {
    const digest = createHash('sha256').update(text).digest('hex');
    const path = join(texts, digest);
    if (!(await isThere(path))) await writeStateFile(path, text);
    return digest;
  };
  const keepTexts = async (policy: PolicyTexts): Promise<readonly (readonly [string, string])[]> => {
    await mkdir(directory, { recursive: true, mode: 0o750 });
    for (const own of [versions, texts]) await makeOwnDirectory(own, 0o750);
    const digests: [string, string][] = [];
    for (const [file, text] of Object.entries(policy.texts)) digests.push([file, await keepText(text)]);
    return digests;
  };
  const prune = async (all: readonly VersionFile[]): Promise<void> => {
    let bytes = 0;
    const counted = new Set<string>();
    const kept: VersionFile[] = [];
    for (const version of all.slice(0, MAX_VERSIONS)) {
      for (const digest of Object.values(version.texts).filter((text) => !counted.has(text))) {
        counted.add(digest);
        bytes += (await sizeOf(join(texts, digest))) ?? 0;
      }
      if (bytes > MAX_TOTAL_TEXT_BYTES && kept.length >= MIN_VERSIONS) break;
      kept.push(version);
    }
    for (const { number } of all.slice(kept.length)) await rm(join(versions, fileName(number)), { force: true });
    const judged = await readJson(judgedFile, JUDGED);
    const inUse = judged === undefined ? kept : [...kept, judged];
    const used = new Set(inUse.flatMap((version) => Object.values(version.texts)));
    // INVARIANT: only files with names that this program gives are removed, wherever the directory may lead.
    for (const name of await namesIn(texts)) {
      const isOurs = DIGEST.test(name) || UNFINISHED.test(name);
      if (isOurs && !used.has(name)) await rm(join(texts, name), { force: true });
    }
  };

  const history: History = {
    async record(policy, { origin, of = null }) {
      const all = await readAll();
      const [newest] = all;
      const identity = identityOfTexts(policy);
      if (newest?.identity === identity) return newest.number;
      const digests = await keepTexts(policy);
      const { instance, documents } = policy;
      // A program may change lists every minute: the newest version that differs only in lists replaces the one before.
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
      await writeStateFile(join(versions, fileName(version.number)), `${JSON.stringify(version)}\n`);
      if (replaces) await rm(join(versions, fileName(newest.number)), { force: true });
      await prune([version, ...(replaces ? all.slice(1) : all)]);
      return version.number;
    },
    async noteJudged(policy, version) {
      const { instance, documents } = policy;
      const identity = identityOfTexts(policy);
      const [before, newest = 0] = [await readJson(judgedFile, JUDGED), version ?? (await readAll())[0]?.number];
      if (before?.identity === identity && before.instance === instance && before.version === newest) return;
      const digests = Object.fromEntries(await keepTexts(policy));
      const judged: JudgedFile = { version: newest, instance, documents: [...documents], identity, texts: digests };
      await writeStateFile(judgedFile, `${JSON.stringify(judged)}\n`);
    },
    async sinceJudged() {
      const [judged, all] = [await readJson(judgedFile, JUDGED), await readAll()];
      const since = judged === undefined ? all.slice(0, 1) : all.filter(({ number }) => number > judged.version);
      const kept = [...since.slice(0, MAX_SINCE_JUDGED), ...(judged === undefined ? [] : [judged])];
      return kept
        .toReversed()
        .map((one) => ({ identity: one.identity, instance: one.instance, open: () => openTexts(one) }));
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
      const policy = await readTexts(version);
      if (policy === undefined) return undefined;
      return { number, time, origin, of, instance, documents, identity, texts: policy };
    },
    async open(number) {
      const version = await readVersion(fileName(number));
      if (version === undefined) return undefined;
      const { time, origin, of, instance, documents, identity } = version;
      const opened: OpenedText[] = [];
      if (!(await isOwnDirectory(texts))) return undefined;
      for (const [file, digest] of Object.entries(version.texts)) {
        const path = join(texts, digest);
        const bytes = await sizeOf(path);
        if (bytes === undefined) return undefined;
        opened.push({ file, bytes, read: () => piecesOfOwnFile(path) });
      }
      return { number, time, origin, of, instance, documents, identity, texts: opened };
    },
  };
  return {
    record: (policy, how) => inTurn(() => explainDenied(directory, () => history.record(policy, how))),
    noteJudged: (policy, version) => inTurn(() => explainDenied(directory, () => history.noteJudged(policy, version))),
    sinceJudged: () => explainDenied(directory, () => history.sinceJudged()),
    list: () => explainDenied(directory, () => history.list()),
    read: (number) => explainDenied(directory, () => history.read(number)),
    open: (number) => explainDenied(directory, () => history.open(number)),
  };
}
