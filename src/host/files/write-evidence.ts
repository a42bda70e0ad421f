import { entryKey } from './scan-paths.ts';
import { type PathStep, type PathTrace, tracePath } from './trace-path.ts';
import type { WriteNotice, WriteNotices } from './write-notices.ts';

/**
 * How a file got its present content, as far as known. `replaced`: the whole file was put there. `closed`: its writer has
 * closed it. `open`: its writer has not. `unknown`: it was written in place, or may have been. `none`: no event was seen,
 * and it was not read before.
 */
export type Evidence = 'replaced' | 'closed' | 'open' | 'unknown' | 'none';

/** The file that was read under a path, and how the path led there. */
export type FilePlace = Pick<PathTrace, 'steps' | 'target'>;

/** A file that was read. */
export interface FileToJudge {
  readonly path: string;
  /** The signature of what was read; see `fileSignature`. */
  readonly signature: string;
  /** Whether its text says nothing. */
  readonly isBlank: boolean;
  readonly before: FilePlace | undefined;
}

/** What is known of a file; `place` is undefined if it has changed since it was read. */
export interface Judgement {
  readonly evidence: Evidence;
  readonly place: FilePlace | undefined;
}

/** Collects events of files, and distinguishes finished files from those that are being written. */
export interface WriteEvidence {
  /** Node's watch saw a name appear, disappear or change, or a file's content, owner or mode change. */
  onWatchEvent(directory: string, name: string, event: 'rename' | 'change'): void;
  onNotice(directory: string, name: string, notice: WriteNotice): void;
  /** Call this when notices were lost. */
  onLost(): void;
  /** What is known of a file that was read, counting all events before it was read. */
  judge(file: FileToJudge): Promise<Judgement>;
  /** Whether a file that is still at this place is being written, as far as known without reading it. */
  isOpen(path: string, place: FilePlace): Promise<boolean>;
  /** Call this when the evidence was used: later changes need new evidence. */
  forget(place: FilePlace): void;
}

/** Beyond this many names, the oldest are forgotten. */
const MAX_NAMES = 4_096;

/** Evidence from `notices` where they are available, else from Node's watch of the directories. */
export function createWriteEvidence(notices: Pick<WriteNotices, 'covers' | 'caughtUp'>): WriteEvidence {
  const noticed = new Map<string, WriteNotice>();
  const watched = new Map<string, 'rename' | 'change'>();

  const remember = <Event>(events: Map<string, Event>, key: string, event: Event): void => {
    events.delete(key);
    events.set(key, event);
    const [oldest] = events.keys();
    if (events.size > MAX_NAMES && oldest !== undefined) events.delete(oldest);
  };

  const catchUp = async (): Promise<boolean> => {
    // Two turns of the loop: in the first, events for Node's watch may still wait behind this call.
    await nextTurn();
    await nextTurn();
    return notices.caughtUp();
  };

  const ofEvents = (step: PathStep, isCaughtUp: boolean, isBlank: boolean): Evidence | undefined => {
    const key = keyOf(step);
    if (isCaughtUp && notices.covers(step.directory.identity)) {
      const notice = noticed.get(key);
      if (notice === 'written') return 'open';
      if (notice === 'closed') return 'closed';
      if (notice === 'moved-in') return 'replaced';
      // Without a write it is a second name of another file, or a new file that waits for its content.
      return notice === undefined ? undefined : isBlank ? 'open' : 'unknown';
    }
    const event = watched.get(key);
    if (event === undefined) return undefined;
    // Writes to a new file are reported too; a file that was moved here has none.
    return event === 'change' || isBlank ? 'unknown' : 'replaced';
  };

  /** The evidence for another file than before, without an event of its own name: what its path passes leads elsewhere now. */
  const ofPath = (before: FilePlace, now: FilePlace, isCaughtUp: boolean): Evidence => {
    const fork = now.steps.findIndex((step, at) => !isSameStep(step, before.steps[at]));
    const turn = now.steps[fork - 1];
    if (turn === undefined) return 'unknown';
    return turn.entry?.kind === 'symlink' || ofEvents(turn, isCaughtUp, false) === 'replaced' ? 'replaced' : 'unknown';
  };

  return {
    onWatchEvent: (directory, name, event) => remember(watched, entryKey(directory, name), event),
    onNotice: (directory, name, notice) => remember(noticed, entryKey(directory, name), notice),
    onLost: () => noticed.clear(),
    async judge({ path, signature, isBlank, before }) {
      const isCaughtUp = await catchUp();
      const now = await tracePath(path);
      const last = now.steps.at(-1);
      if (last === undefined || now.target.kind !== 'file' || now.target.signature !== signature)
        return { evidence: 'unknown', place: undefined };
      const seen = ofEvents(last, isCaughtUp, isBlank);
      if (seen !== undefined) return { evidence: seen, place: now };
      if (before === undefined) return { evidence: 'none', place: now };
      return {
        evidence: identityOf(before) === identityOf(now) ? 'unknown' : ofPath(before, now, isCaughtUp),
        place: now,
      };
    },
    async isOpen(path, place) {
      const key = keyOfPlace(place);
      if (key === undefined || noticed.get(key) !== 'written') return false;
      const now = await tracePath(path);
      return keyOfPlace(now) === key && identityOf(now) === identityOf(place) && noticed.get(key) === 'written';
    },
    forget(place) {
      const key = keyOfPlace(place);
      if (key === undefined) return;
      const notice = noticed.get(key);
      if (notice === 'closed' || notice === 'moved-in') noticed.delete(key);
      watched.delete(key);
    },
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function keyOf({ directory, name }: PathStep): string {
  return entryKey(directory.identity, name);
}

function keyOfPlace({ steps }: FilePlace): string | undefined {
  const last = steps.at(-1);
  return last === undefined ? undefined : keyOf(last);
}

function identityOf({ target }: FilePlace): string {
  return target.kind === 'file' ? target.identity : '';
}

function isSameStep(a: PathStep, b: PathStep | undefined): boolean {
  return b !== undefined && a.name === b.name && a.directory.identity === b.directory.identity;
}
