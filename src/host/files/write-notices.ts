import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isGuardNeeded, type MonitorProgram, startMonitorProgram } from './monitor-program.ts';

/**
 * What happened to a name in a directory. `made`: a file, link or directory began to exist under it. `written`: a writer
 * that has the file open wrote to it. `closed`: such a writer closed it. `moved-in`: it was renamed to this name.
 */
export type WriteNotice = 'made' | 'written' | 'closed' | 'moved-in';

/** What to watch for, and whom to report it to. */
export interface WriteNoticesOptions {
  /** A directory of this process's own, for the marks by which it finds out how far the notices have come. */
  readonly markDirectory: string;
  /** In the order in which it happened; `directory` is the identity given to `cover`. */
  readonly onNotice: (directory: string, name: string, notice: WriteNotice) => void;
  /** Notices were lost: nothing that was reported before need still be so. */
  readonly onLost: () => void;
  /** The same trouble comes once, until notices come again. */
  readonly onTrouble: (error: Error) => void;
  /** The `inotifywait` program of inotify-tools, by name or path. */
  readonly program?: string;
}

/** Notices of writers; see {@link createWriteNotices}. */
export interface WriteNotices {
  /** Watches these directories, paths by identity, in place of those before. */
  cover(directories: ReadonlyMap<string, string>): void;
  /** Whether the directory of this identity is watched now. */
  covers(directory: string): boolean;
  /** Resolves to true when everything that happened in watched directories before the call has been reported, else to false. */
  caughtUp(): Promise<boolean>;
  /** Resolves when all directories asked for are watched, and else after two seconds. */
  ready(): Promise<void>;
  /** Why there are no notices; undefined while there are, or where nobody knows yet. */
  trouble(): string | undefined;
  close(): void;
}

interface Session {
  readonly process: MonitorProgram;
  /** Identities of directories by their paths, which end with a slash, as the program reports them. */
  readonly directories: ReadonlyMap<string, string>;
  readonly startedAt: number;
  readonly marks: Map<string, () => void>;
  /** What it reported while another one was still listened to. */
  early: string[] | undefined;
  rest: string;
  isReady: boolean;
  ended: boolean;
}

/** A directory that is replaced is several changes; the program is started once for them. */
const COVER_MILLISECONDS = 20;
const MARK_MILLISECONDS = 1_000;
/** A program that misses so many marks in a row is stopped, or has lost notices. */
const MAX_MARKS_MISSED = 3;
const READY_MILLISECONDS = 2_000;
const FIRST_RETRY_MILLISECONDS = 200;
const LAST_RETRY_MILLISECONDS = 60_000;
const SETTLED_SECONDS = 5;
/** Directory, name and what happened. */
const FIELDS = 3;
const MAX_EARLY = 10_000 * FIELDS;
const UNTOLD_FAILURES = 1;
/** What setpriv ends with where it does not find the program, as shells do. */
const NOT_FOUND = 127;

const NOTICES: readonly (readonly [word: string, notice: WriteNotice])[] = [
  ['MOVED_TO', 'moved-in'],
  ['CREATE', 'made'],
  ['MODIFY', 'written'],
  ['CLOSE_WRITE', 'closed'],
];

/**
 * Reports when files are written and when their writers close them. Node's `fs.watch` has no notice of the closing
 * (libuv, src/unix/linux.c, uv_fs_event_start), so `inotifywait` listens in a process of its own. It is started again
 * when it ends, and beside the old one when the directories change, so that no notice falls between the two.
 */
export function createWriteNotices(options: WriteNoticesOptions): WriteNotices {
  const { markDirectory, onNotice, onLost, onTrouble, program = 'inotifywait' } = options;
  let wanted: Session['directories'] = new Map();
  let active: Session | undefined;
  let next: Session | undefined;
  let covered: ReadonlySet<string> = new Set();
  let guarded = isGuardNeeded();
  let closed = false;
  let startTimer: NodeJS.Timeout | undefined;
  let retryMilliseconds = FIRST_RETRY_MILLISECONDS;
  let failures = 0;
  let troubleNow: string | undefined;
  let marksMade = 0;
  let marksMissed = 0;
  let onReady: (() => void)[] = [];
  let marking: Promise<boolean> = Promise.resolve(true);
  let followingMark: Promise<boolean> | undefined;

  const startSoon = (milliseconds: number): void => {
    if (closed || startTimer !== undefined) return;
    startTimer = setTimeout(() => {
      startTimer = undefined;
      start();
    }, milliseconds);
  };

  const start = (): void => {
    if (closed || next !== undefined || wanted.size === 0) return;
    const directories = wanted;
    if (active !== undefined && isSame(active.directories, directories)) return;
    const format = ['--no-newline', '--format', '%w%0%f%0%e%0'];
    const events = ['--event', 'create,modify,close_write,moved_to'];
    const paths = new Set([...directories.keys(), withSlash(markDirectory)]);
    const child = startMonitorProgram([program, '--monitor', ...format, ...events, '--', ...paths], guarded);
    const session: Session = {
      process: child,
      directories,
      startedAt: performance.now(),
      marks: new Map(),
      early: [],
      rest: '',
      isReady: false,
      ended: false,
    };
    next = session;
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => read(session, text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-1_000);
      if (session !== next || session.isReady || !said.includes('Watches established')) return;
      session.isReady = true;
      void takeOver(session);
    });
    void child.then((result) => {
      session.ended = true;
      for (const resolve of session.marks.values()) resolve();
      if (closed || (session !== active && session !== next)) return;
      const lived = performance.now() - session.startedAt > SETTLED_SECONDS * 1_000;
      if (!lived) guarded = !guarded;
      retryMilliseconds = lived ? FIRST_RETRY_MILLISECONDS : Math.min(2 * retryMilliseconds, LAST_RETRY_MILLISECONDS);
      if (session === next) next = undefined;
      else lose();
      failures += 1;
      const isMissing = result.exitCode === NOT_FOUND || result.code === 'ENOENT';
      const reason = isMissing ? 'it is not installed (package inotify-tools)' : said || result.shortMessage;
      // The first start may fail for the guard's sake, or for a directory that was there a moment ago.
      if (failures > UNTOLD_FAILURES) {
        tellTrouble(reason ?? 'it ended');
        tellReady();
      }
      startSoon(retryMilliseconds);
    });
  };

  const tellTrouble = (reason: string): void => {
    const isNew = troubleNow === undefined;
    troubleNow =
      reason
        .replace(/^Setting up watches\.\s*/, '')
        .trim()
        .split('\n')[0] ?? '';
    if (isNew) onTrouble(new Error(`${program}: ${troubleNow}`));
  };

  const lose = (): void => {
    active = undefined;
    covered = new Set();
    onLost();
  };

  // INVARIANT: of two programs only one is listened to at a time, and the new one from where the old one ended: what was
  // reported by the old one is never undone by the new one's older news.
  const takeOver = async (session: Session): Promise<void> => {
    if (!(await mark(session))) {
      // Its end is a failure like another.
      session.process.kill('SIGKILL');
      return;
    }
    const before = active;
    const isHandedOver = before !== undefined && (await mark(before));
    if (closed || session !== next) return;
    before?.process.kill('SIGKILL');
    if (!isHandedOver) lose();
    active = session;
    next = undefined;
    covered = new Set(session.directories.values());
    failures = 0;
    troubleNow = undefined;
    const { early } = session;
    session.early = undefined;
    // More than is kept came meanwhile.
    if (early === undefined || early.length > MAX_EARLY) onLost();
    else report(session, early);
    if (isSame(session.directories, wanted)) tellReady();
    else startSoon(COVER_MILLISECONDS);
  };

  const tellReady = (): void => {
    for (const resolve of onReady) resolve();
    onReady = [];
  };

  const read = (session: Session, text: string): void => {
    const fields = (session.rest + text).split('\0');
    const end = FIELDS * Math.floor((fields.length - 1) / FIELDS);
    session.rest = fields.slice(end).join('\0');
    const reported = fields.slice(0, end);
    if (session === active) report(session, reported);
    else if (session.early !== undefined && session.early.length <= MAX_EARLY) session.early.push(...reported);
    for (let at = 1; at < end; at += FIELDS) session.marks.get(reported[at] ?? '')?.();
  };

  const report = (session: Session, fields: readonly string[]): void => {
    for (let at = 0; at < fields.length; at += FIELDS) {
      const [directory = '', name = '', words = ''] = fields.slice(at, at + FIELDS);
      const identity = session.directories.get(directory);
      const notice = NOTICES.find(([word]) => words.split(',').includes(word))?.[1];
      if (identity !== undefined && notice !== undefined && name !== '') onNotice(identity, name, notice);
    }
  };

  /** Makes a file and waits until it is reported: the kernel reports in the order in which things happened. */
  const mark = async (session: Session): Promise<boolean> => {
    marksMade += 1;
    const name = `.mark-${process.pid}-${marksMade}`;
    const path = join(markDirectory, name);
    let timer: NodeJS.Timeout | undefined;
    const seen = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), MARK_MILLISECONDS);
      session.marks.set(name, () => resolve(!session.ended));
    });
    try {
      if (session.ended) return false;
      await writeFile(path, '');
      return await seen;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
      session.marks.delete(name);
      await rm(path, { force: true }).catch(() => undefined);
    }
  };

  const markActive = async (): Promise<boolean> => {
    const session = active;
    if (session === undefined) return false;
    const isSeen = await mark(session);
    marksMissed = isSeen ? 0 : marksMissed + 1;
    if (marksMissed >= MAX_MARKS_MISSED && session === active && !closed) {
      marksMissed = 0;
      session.process.kill('SIGKILL');
      lose();
      startSoon(retryMilliseconds);
      retryMilliseconds = Math.min(2 * retryMilliseconds, LAST_RETRY_MILLISECONDS);
    }
    return isSeen;
  };

  return {
    cover(directories) {
      wanted = new Map([...directories].map(([identity, path]) => [withSlash(path), identity]));
      startSoon(active === undefined ? 0 : COVER_MILLISECONDS);
    },
    covers: (directory) => covered.has(directory),
    caughtUp() {
      // A mark that has been made already says nothing of what happened since.
      followingMark ??= marking.then(() => {
        followingMark = undefined;
        marking = markActive();
        return marking;
      });
      return followingMark;
    },
    ready: () =>
      new Promise((resolve) => {
        if (closed || (active !== undefined && isSame(active.directories, wanted))) return resolve();
        onReady.push(resolve);
        setTimeout(resolve, READY_MILLISECONDS).unref();
      }),
    trouble: () => troubleNow,
    close() {
      closed = true;
      tellReady();
      clearTimeout(startTimer);
      for (const session of [active, next]) session?.process.kill('SIGKILL');
      for (const session of [active, next]) for (const resolve of session?.marks.values() ?? []) resolve();
    },
  };
}

function withSlash(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value);
}
