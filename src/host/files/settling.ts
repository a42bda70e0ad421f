import { FileError, type FileText } from './policy-files.ts';
import type { FilePlace, WriteEvidence } from './write-evidence.ts';

/**
 * Why a file does not count yet. `open`: its writer has not closed it. `unfinished-line`: its last line has no end.
 * `empty`: it says nothing, and said something before. `written`: it was written in place, and nobody knows whether its
 * writer is done.
 */
export type WaitReason = 'open' | 'unfinished-line' | 'empty' | 'written';

/** A file that does not count yet. */
export interface WaitingFile {
  readonly file: string;
  readonly reason: WaitReason;
  readonly since: Date;
  /** When it counts as it is; undefined where time alone does not make it count. */
  readonly until: Date | undefined;
  /** In so many milliseconds it is worth another look. */
  readonly lookAgain: number;
  /** Whether nothing stands in for it, and the policy waits with it: it is soon taken as it is, or refused. */
  readonly isNeeded: boolean;
}

/** A file to read. */
export interface FileToTake {
  readonly file: string;
  /** Throws what cannot be read. */
  readonly read: () => Promise<FileText>;
  /** Whether the policy is whole without it: a file that is only just being made is not there yet. */
  readonly isOptional: boolean;
  /** Whether each of its lines means something by itself, as a list's do and a document's do not. */
  readonly isList: boolean;
}

/** Tells files that are finished from files that are being written; what such a file said before stands in for it. */
export interface Settling {
  /** A reading of all files begins: files that several readings have not asked for are forgotten. */
  begin(): void;
  /**
   * Reads a file, or takes what it said before; undefined where it is not there yet. Throws what `read` throws, and a
   * FileError where nothing stands in for a file that stays unfinished.
   */
  take(file: FileToTake): Promise<FileText | undefined>;
  /** The files that the last reading held back. */
  waiting(): readonly WaitingFile[];
  /** Has files count as they were read last, whether they are finished or not. */
  accept(): void;
}

/** A file written in place counts when it has been as it is for so long, where nobody knows when its writer is done. */
export const QUIET_MILLISECONDS = 2_000;

/**
 * A file written in place that ends amid a line, or is suddenly empty, counts when it has been so for so long: its
 * writer may have gone to fetch the rest, or another one may be about to append it.
 */
const UNFINISHED_MILLISECONDS = 10_000;

/**
 * Every edit of the policy waits with a file that nothing stands in for, revocations too, so no writer keeps it waiting
 * for longer.
 */
const MAX_NEEDED_MILLISECONDS = 10_000;

/** A writer that has a file open is asked for again, for a notice may have been lost. */
const OPEN_LOOK_MILLISECONDS = 5_000;
/** Of a file written in place a notice may come late. */
const WRITTEN_LOOK_MILLISECONDS = 500;
/** A file that changed while it was read is looked at again so soon. */
const MOVING_LOOK_MILLISECONDS = 50;

/** A reading that fails asks for fewer files than the policy has. */
const MAX_READINGS_UNASKED = 3;

interface Counted {
  readonly text: FileText;
  readonly place: FilePlace;
  /** The number of the last reading that asked for it. */
  readonly asked: number;
}

interface Held {
  readonly text: FileText;
  readonly place: FilePlace | undefined;
  readonly waiting: WaitingFile;
  /** Since when it has been as it is, by the monotonic clock. */
  readonly since: number;
  /** Since when it has been waited for, by the same clock. */
  readonly begun: number;
}

/** Nothing was read yet. */
export function createSettling(evidence: Pick<WriteEvidence, 'judge' | 'isOpen' | 'forget'>): Settling {
  const counted = new Map<string, Counted>();
  let reading = 0;
  let held = new Map<string, Held>();
  let heldBefore = held;

  const count = (text: FileText, place: FilePlace): FileText => {
    counted.set(text.path, { text, place, asked: reading });
    evidence.forget(place);
    return text;
  };

  const hold = (file: FileToHold): FileText | undefined => {
    const { text, place, isOptional, isList, quietFor = 0 } = file;
    const earlier = counted.get(text.path);
    const before = heldBefore.get(text.path);
    const now = performance.now();
    const since = before?.text.text === text.text ? before.since : now - quietFor;
    const begun = before?.begun ?? now;
    const isNeeded = earlier === undefined && !isOptional;
    const isUsable = isList && unfinishedOf(text.text, saysNothing(text.text)) === undefined;
    const why = file.why.reason === 'open' && isNeeded && isUsable ? OPEN_AND_NEEDED : file.why;
    const left = why.milliseconds === undefined ? undefined : Math.max(0, since + why.milliseconds - now);
    const patience = isNeeded ? Math.max(0, begun + MAX_NEEDED_MILLISECONDS - now) : Infinity;
    // INVARIANT: where an earlier text stands in, time alone never ends the wait for a writer that is known to be at it.
    if (place !== undefined && (left === 0 || (patience === 0 && isUsable))) return count(text, place);
    const waiting: WaitingFile = {
      file: text.path,
      reason: why.reason,
      since: before?.waiting.since ?? new Date(),
      until: left === undefined ? undefined : new Date(Date.now() + left),
      lookAgain:
        place === undefined
          ? MOVING_LOOK_MILLISECONDS
          : Math.min(LOOK_MILLISECONDS[why.reason], left ?? Infinity, patience === 0 ? Infinity : patience),
      isNeeded: isNeeded && patience > 0,
    };
    held.set(text.path, { text, place, waiting, since, begun });
    // INVARIANT: half a line can mean more than the whole one does, so an unfinished file never counts for want of another.
    if (patience === 0) throw unfinished(text.path, why.reason);
    return earlier?.text ?? (isOptional ? undefined : text);
  };

  return {
    begin() {
      reading += 1;
      for (const [file, { asked }] of counted) if (reading - asked > MAX_READINGS_UNASKED) counted.delete(file);
      heldBefore = held;
      held = new Map();
    },
    async take({ file, read, isOptional, isList }) {
      const kind = { isOptional, isList };
      const before = counted.get(file);
      if (before !== undefined) counted.set(file, { ...before, asked: reading });
      const last = heldBefore.get(file)?.text ?? before?.text;
      if (before !== undefined && last !== undefined && (await evidence.isOpen(file, before.place)))
        return hold({ text: last, place: before.place, why: OPEN, ...kind });
      let text: FileText;
      try {
        text = await read();
      } catch (error) {
        if (before !== undefined && error instanceof FileError && error.kind === 'changing')
          return hold({ text: before.text, place: undefined, why: WRITTEN, ...kind });
        counted.delete(file);
        throw error;
      }
      if (before?.text.text === text.text) return text;
      const isBlank = saysNothing(text.text);
      const judged = { path: file, signature: text.signature, isBlank, before: before?.place };
      const { evidence: found, place } = await evidence.judge(judged);
      if (place === undefined) return hold({ text, place, why: WRITTEN, ...kind });
      if (found === 'replaced') return count(text, place);
      if (found === 'open') return hold({ text, place, why: OPEN, ...kind });
      const isSuddenlyEmpty = isBlank && (before === undefined || !saysNothing(before.text.text));
      const why = unfinishedOf(text.text, isSuddenlyEmpty);
      if (found === 'none') {
        const quietFor = Math.max(0, Date.now() - text.changedAt);
        // Nothing stands in for it, so it is not left out either.
        return why === undefined ? count(text, place) : hold({ text, place, why, isOptional: false, isList, quietFor });
      }
      if (why !== undefined) return hold({ text, place, why, ...kind });
      return found === 'closed' ? count(text, place) : hold({ text, place, why: WRITTEN, ...kind });
    },
    waiting: () => [...held.values()].map(({ waiting }) => waiting).toSorted((a, b) => (a.file < b.file ? -1 : 1)),
    accept() {
      for (const { text, place } of held.values()) if (place !== undefined) count(text, place);
    },
  };
}

interface FileToHold extends Pick<FileToTake, 'isOptional' | 'isList'> {
  readonly text: FileText;
  /** Undefined where it changed amid the reading. */
  readonly place: FilePlace | undefined;
  readonly why: Wait;
  /** How long it is known to have been as it is, in milliseconds. */
  readonly quietFor?: number;
}

/** How soon to look again where time does not end the wait sooner. */
const LOOK_MILLISECONDS: Readonly<Record<WaitReason, number>> = {
  open: OPEN_LOOK_MILLISECONDS,
  'unfinished-line': UNFINISHED_MILLISECONDS,
  empty: UNFINISHED_MILLISECONDS,
  written: WRITTEN_LOOK_MILLISECONDS,
};

interface Wait {
  readonly reason: WaitReason;
  readonly milliseconds: number | undefined;
}

const OPEN: Wait = { reason: 'open', milliseconds: undefined };
/** A list that nothing stands in for need not be closed by a writer that keeps it open, as a logger does. */
const OPEN_AND_NEEDED: Wait = { reason: 'open', milliseconds: QUIET_MILLISECONDS };
const WRITTEN: Wait = { reason: 'written', milliseconds: QUIET_MILLISECONDS };

function unfinishedOf(text: string, isSuddenlyEmpty: boolean): Wait | undefined {
  if (isSuddenlyEmpty) return { reason: 'empty', milliseconds: UNFINISHED_MILLISECONDS };
  if (text === '' || text.endsWith('\n')) return undefined;
  return { reason: 'unfinished-line', milliseconds: UNFINISHED_MILLISECONDS };
}

const WHY_UNFINISHED: Readonly<Record<WaitReason, string>> = {
  open: 'a program has it open for writing',
  'unfinished-line': 'its last line has no end',
  empty: 'it says nothing',
  written: 'it keeps changing',
};

function unfinished(path: string, reason: WaitReason): FileError {
  return new FileError({
    kind: 'unfinished',
    path,
    message: `\`${path}\` is unfinished: ${WHY_UNFINISHED[reason]}, and it was not read before`,
    hint: 'have its writer end the last line and close the file; better, write it beside and rename it into place',
  });
}

/** Whether a text is blank but for comments, which a policy and a list write alike. */
function saysNothing(text: string): boolean {
  return !/^[^\S\n]*[^\s#]/m.test(text);
}
