import { type FSWatcher, watch } from 'node:fs';
import { basename } from 'node:path';
import {
  compareScans,
  type DirectoryInterest,
  entryKey,
  type FileChange,
  isOfInterest,
  type PathScan,
  scanPaths,
} from './scan-paths.ts';
import { absolutePath } from './trace-path.ts';
import type { WriteEvidence } from './write-evidence.ts';
import type { WriteNotices } from './write-notices.ts';

/** What to watch, and what to call. */
export interface WatchFilesOptions {
  /** Files or drop-in directories; they need not exist. */
  readonly paths: readonly string[];
  /**
   * `modified`: written in place or new, so its writer may not be done. `replaced`: another file, or none. `closed`: a
   * writer has closed it.
   */
  readonly onChange: (kind: FileChange | 'closed') => void;
  /** A problem that the watch survives, such as the kernel's limit on watches: polling then finds changes. */
  readonly onError: (error: Error) => void;
  readonly pollMilliseconds?: number;
  /** Receives each event as it comes. */
  readonly evidence?: Pick<WriteEvidence, 'onWatchEvent'>;
  /** Reports when files are closed, in the directories that matter. */
  readonly notices?: Pick<WriteNotices, 'cover'>;
}

/** A standing watch over files. */
export interface FileWatch {
  /** Watches these paths from now on. Changes of a new path count from the next `ready`. */
  setPaths(paths: readonly string[]): void;
  /** Resolves once every later change will be noticed; read files after it, not before. */
  ready(): Promise<void>;
  /** Call this when a writer has closed the file of this name in the directory of this identity. */
  onClosed(directory: string, name: string): void;
  /** Ends the watch; no callback runs after it. */
  close(): void;
}

interface DirectoryWatch {
  readonly watcher: FSWatcher;
  readonly identity: string;
  interest: DirectoryInterest;
}

// A replacement is several events; this gathers them into one scan.
const GATHER_MILLISECONDS = 3;
const MAX_ROUNDS = 10;

/**
 * Calls `onChange` when a watched file changes in any way: in place, by rename, or by a symlink or directory of its path.
 * Every directory that a path passes is watched for the names that matter there. Events only cause a scan; comparing scans
 * finds the change, and polling every `pollMilliseconds` catches changes without an event.
 */
export function watchFiles(options: WatchFilesOptions): FileWatch {
  const { paths, onChange, onError, pollMilliseconds = 2_000, evidence, notices } = options;
  const watches = new Map<string, DirectoryWatch>();
  let watchedPaths = absolute(paths);
  let known: PathScan = { states: new Map(), directories: new Map() };
  let written = new Set<string>();
  let closed = false;
  let dirty = false;
  let looking = false;
  let limited = false;
  let gatherTimer: NodeJS.Timeout | undefined;
  let pollTimer: NodeJS.Timeout | undefined;
  const waiting: (() => void)[] = [];

  const look = async (): Promise<void> => {
    dirty = true;
    if (looking) return;
    looking = true;
    clearTimeout(pollTimer);
    while (dirty && !closed) {
      dirty = false;
      await lookUntilArmed().catch((error: unknown) => tell(() => onError(asError(error))));
    }
    looking = false;
    for (const resolve of waiting.splice(0)) resolve();
    if (!closed) pollTimer = setTimeout(() => void look(), pollMilliseconds);
  };

  // INVARIANT: a watch that was just armed is followed by one more scan, for changes before it was armed.
  const lookUntilArmed = async (): Promise<void> => {
    for (let round = 1; round <= MAX_ROUNDS && !closed; round += 1) {
      const marks = written;
      written = new Set();
      const scan = await scanPaths(watchedPaths);
      if (closed) return;
      const change = compareScans(known, scan, marks);
      known = scan;
      const armed = arm(scan.directories);
      notices?.cover(new Map([...scan.directories].map(([identity, { place }]) => [identity, place.path])));
      if (change !== undefined) tell(() => onChange(change));
      if (!armed) return;
    }
  };

  const arm = (directories: ReadonlyMap<string, DirectoryInterest>): boolean => {
    for (const [identity, entry] of watches) {
      const interest = directories.get(identity);
      if (interest === undefined) disarm(entry);
      else entry.interest = interest;
    }
    let armed = false;
    let failure: Error | undefined;
    for (const [identity, interest] of directories) {
      if (watches.has(identity)) continue;
      try {
        watches.set(identity, armOne(identity, interest));
        armed = true;
      } catch (error) {
        // ENOENT and ENOTDIR: the directory is gone, and the watch of its parent reports that.
        if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error))) failure ??= asError(error);
      }
    }
    if (failure !== undefined && !limited) {
      const message = `cannot watch every directory (${failure.message}); looking every ${pollMilliseconds} ms instead`;
      const limit = new Error(message, { cause: failure });
      tell(() => onError(limit));
    }
    limited = failure !== undefined;
    return armed;
  };

  const armOne = (identity: string, interest: DirectoryInterest): DirectoryWatch => {
    const { path } = interest.place;
    const entry: DirectoryWatch = { watcher: watch(path), identity, interest };
    entry.watcher.on('error', () => {
      disarm(entry);
      lookSoon();
    });
    entry.watcher.on('change', (event, filename) => {
      if (closed || watches.get(identity) !== entry) return;
      const name = filename === null ? undefined : String(filename);
      // inotify reports the removal or renaming of the directory itself under its own name; after a removal the watch is
      // dead, even if a new directory gets the old inode.
      const own = event === 'rename' && name === basename(path);
      if (own) disarm(entry);
      if (name !== undefined) evidence?.onWatchEvent(identity, name, event === 'rename' ? 'rename' : 'change');
      if (!own && name !== undefined && !isOfInterest(entry.interest, name)) return;
      if (event === 'change' && name !== undefined) written.add(entryKey(identity, name));
      lookSoon();
    });
    return entry;
  };

  const disarm = (entry: DirectoryWatch): void => {
    if (watches.get(entry.identity) === entry) watches.delete(entry.identity);
    entry.watcher.close();
  };

  const lookSoon = (): void => {
    if (closed) return;
    gatherTimer ??= setTimeout(() => {
      gatherTimer = undefined;
      void look();
    }, GATHER_MILLISECONDS);
  };

  const tell = (callback: () => void): void => {
    if (!closed) callback();
  };

  void look();
  return {
    setPaths: (next) => {
      watchedPaths = absolute(next);
      void look();
    },
    ready: () =>
      new Promise((resolve) => {
        if (closed || !looking) resolve();
        else waiting.push(resolve);
      }),
    onClosed: (directory, name) => {
      const interest = known.directories.get(directory);
      if (interest !== undefined && isOfInterest(interest, name)) tell(() => onChange('closed'));
    },
    close: () => {
      closed = true;
      clearTimeout(gatherTimer);
      clearTimeout(pollTimer);
      for (const entry of [...watches.values()]) disarm(entry);
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

function absolute(paths: readonly string[]): readonly string[] {
  return [...new Set(paths.map(absolutePath))];
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
