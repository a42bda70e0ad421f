import { entryKey } from './scan-paths.ts';
import { type PathStep, type PathTrace, tracePath } from './trace-path.ts';
import type { WriteNotice, WriteNotices } from './write-notices.ts';

/**
 * What is known of how a file came by its present content. `replaced`: the whole file was put there. `closed`: its writer
 * has closed it. `open`: its writer has not. `unknown`: it was written in place, or may have been. `none`: nothing
 * happened to it that anybody noticed, nor was it read before.
 */
export type Evidence = 'replaced' | 'closed' | 'open' | 'unknown' | 'none';

/** Which file was read before under a path, and how the path led there. */
export type FilePlace = Pick<PathTrace, 'steps' | 'target'>;

/** A file to be judged. */
export interface FileToJudge {
  readonly path: string;
  /** Of what was read; see `fileSignature`. */
  readonly signature: string;
  /** Whether what was read says nothing. */
  readonly isBlank: boolean;
  readonly before: FilePlace | undefined;
}

/** What is known of a file; `place` is undefined where it has changed since it was read. */
export interface Judgement {
  readonly evidence: Evidence;
  readonly place: FilePlace | undefined;
}

/** Gathers what happens to files, and tells finished files from those that are being written. */
export interface WriteEvidence {
  /** Node's watch saw a name begin, end or change hands, or a file being written or its owner or mode changed. */
  onWatchEvent(directory: string, name: string, event: 'rename' | 'change'): void;
  onNotice(directory: string, name: string, notice: WriteNotice): void;
  /** Notices were lost. */
  onLost(): void;
  /** Judges what was read: whatever happened to the file before it was read counts. */
  judge(file: FileToJudge): Promise<Judgement>;
  /** Whether the file that was at this place, and still is, is being written, as far as is known without reading it. */
  isOpen(path: string, place: FilePlace): Promise<boolean>;
  /** What is known of the file has been acted on: whatever changes it from now on, something new is to be known of it. */
  forget(place: FilePlace): void;
}

/** Names that nobody asks for are forgotten when there are more. */
const MAX_NAMES = 4_096;

/** Evidence from `notices`, where there are any, and from Node's watch of the directories where there are none. */
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
    // Two turns of the loop: in the first, what the kernel reported to Node's watch may still wait behind this call.
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
      // Without a write it is a second name of another file, unless it has just been made and waits for its content.
      return notice === undefined ? undefined : isBlank ? 'open' : 'unknown';
    }
    const event = watched.get(key);
    if (event === undefined) return undefined;
    // A file that is made and then written has its writes reported too; one that was moved here has not.
    return event === 'change' || isBlank ? 'unknown' : 'replaced';
  };

  /** A file that is another than before, of whose own name nothing was noticed: by what on its way leads elsewhere now. */
  const ofWay = (before: FilePlace, now: FilePlace, isCaughtUp: boolean): Evidence => {
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
        evidence: identityOf(before) === identityOf(now) ? 'unknown' : ofWay(before, now, isCaughtUp),
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

function isSameStep(one: PathStep, other: PathStep | undefined): boolean {
  return other !== undefined && one.name === other.name && one.directory.identity === other.directory.identity;
}
