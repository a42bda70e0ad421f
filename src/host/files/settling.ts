import { FileError, type FileText } from './policy-files.ts';
import type { FilePlace, WriteEvidence } from './write-evidence.ts';

/**
 * Why a file is held back. `open`: its writer has not closed it. `unfinished-line`: its last line has no end. `empty`: it
 * says nothing, but did before. `written`: it was written in place, and it is unknown whether its writer is done.
 */
export type WaitReason = 'open' | 'unfinished-line' | 'empty' | 'written';

/** A file that is held back. */
export interface WaitingFile {
  readonly file: string;
  readonly reason: WaitReason;
  readonly since: Date;
  /** When it is accepted as it is; undefined if time alone does not end the wait. */
  readonly until: Date | undefined;
  /** After how many milliseconds to read it again. */
  readonly lookAgain: number;
  /** Whether no earlier text stands in for it, so that the whole policy waits: it is soon accepted as it is, or refused. */
  readonly isNeeded: boolean;
}

/** A file to read. */
export interface FileToTake {
  readonly file: string;
  /** Throws if the file cannot be read. */
  readonly read: () => Promise<FileText>;
  /** Whether the policy is complete without it; such a file counts as missing while it is being made. */
  readonly isOptional: boolean;
  /** Whether each of its lines has a meaning of its own, as in a list but not in a document. */
  readonly isList: boolean;
}

/** Distinguishes finished files from files that are being written, for which their previous text stands in. */
export interface Settling {
  /** Begins a reading of all files. Files that several readings have not asked for are forgotten. */
  begin(): void;
  /**
   * Reads a file, or returns its previous text; undefined if it counts as missing. Throws what `read` throws, and a
   * FileError if a file stays unfinished and no earlier text stands in for it.
   */
  take(file: FileToTake): Promise<FileText | undefined>;
  /** The files that the last reading held back. */
  waiting(): readonly WaitingFile[];
  /** Accepts all files as they were last read, finished or not. */
  accept(): void;
}

/** How long a file written in place must be unchanged if it is unknown when its writer is done. */
export const QUIET_MILLISECONDS = 2_000;

/**
 * How long a file that ends within a line, or is suddenly empty, must be unchanged: its writer may still be fetching the
 * rest, or another one may be about to append it.
 */
const UNFINISHED_MILLISECONDS = 10_000;

/**
 * All edits of the policy, revocations included, wait for a file without an earlier text, so no writer can hold it back for
 * longer than this.
 */
const MAX_NEEDED_MILLISECONDS = 10_000;

/** When to check an open file again, since a notice may have been lost. */
const OPEN_LOOK_MILLISECONDS = 5_000;
/** When to check a file written in place again, since its notice may be late. */
const WRITTEN_LOOK_MILLISECONDS = 500;
/** When to read a file again that changed while it was read. */
const MOVING_LOOK_MILLISECONDS = 50;

/** How many readings may leave a file out before it is forgotten: a failed reading asks for fewer files than the policy has. */
const MAX_READINGS_UNASKED = 3;

interface Counted {
  readonly text: FileText;
  readonly place: FilePlace;
  /** The number of the last reading that asked for it. */
  readonly asked: number;
}

interface HeldFile {
  readonly text: FileText;
  readonly place: FilePlace | undefined;
  readonly waiting: WaitingFile;
  /** Since when it is unchanged, by the monotonic clock. */
  readonly since: number;
  /** Since when it is held back, by the same clock. */
  readonly begun: number;
}

/** A settling that has read nothing yet. */
export function createSettling(evidence: Pick<WriteEvidence, 'judge' | 'isOpen' | 'forget'>): Settling {
  const counted = new Map<string, Counted>();
  let reading = 0;
  let held = new Map<string, HeldFile>();
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
    const neededLeft = isNeeded ? Math.max(0, begun + MAX_NEEDED_MILLISECONDS - now) : Infinity;
    // INVARIANT: if an earlier text stands in, time alone never ends the wait for a writer that is known to be writing.
    if (place !== undefined && (left === 0 || (neededLeft === 0 && isUsable))) return count(text, place);
    const waiting: WaitingFile = {
      file: text.path,
      reason: why.reason,
      since: before?.waiting.since ?? new Date(),
      until: left === undefined ? undefined : new Date(Date.now() + left),
      lookAgain:
        place === undefined
          ? MOVING_LOOK_MILLISECONDS
          : Math.min(LOOK_MILLISECONDS[why.reason], left ?? Infinity, neededLeft === 0 ? Infinity : neededLeft),
      isNeeded: isNeeded && neededLeft > 0,
    };
    held.set(text.path, { text, place, waiting, since, begun });
    // INVARIANT: half a line can allow more than the whole one, so an unfinished file is never accepted for want of another.
    if (neededLeft === 0) throw unfinished(text.path, why.reason);
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
        // No earlier text stands in for it, so it is not left out either.
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
  /** Undefined if the file changed while it was read. */
  readonly place: FilePlace | undefined;
  readonly why: Wait;
  /** How long the file is known to be unchanged, in milliseconds. */
  readonly quietFor?: number;
}

/** How soon to check again if time does not end the wait sooner. */
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
/** A list without an earlier text need not be closed: its writer may keep it open, as a logger does. */
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

/** Whether a text has nothing but blanks and comments, which policies and lists write alike. */
function saysNothing(text: string): boolean {
  return !/^[^\S\n]*[^\s#]/m.test(text);
}
