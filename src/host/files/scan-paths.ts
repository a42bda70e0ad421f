import { isDropInName, isPassedOver, listDropIns } from './drop-ins.ts';
import { type DirectoryPlace, type PathTarget, type PathTrace, tracePath } from './trace-path.ts';

/** What a file, or an entry of a drop-in directory, was when it was looked at. */
export interface FileState {
  readonly target: PathTarget;
  /** The directory entry that holds the file itself, past all symlinks; see `entryKey`. */
  readonly entry: string | undefined;
}

/** What a watched path was: the path itself under the empty name, the files of a drop-in directory under theirs. */
export type PathState = ReadonlyMap<string, FileState>;

/** A directory in which some names matter. */
export interface DirectoryInterest {
  readonly place: DirectoryPlace;
  readonly names: Set<string>;
  /** Whether every name of a drop-in file, and every one that is passed over, matters as well. */
  dropIns: boolean;
}

/** All that was seen of the watched paths at one time. */
export interface PathScan {
  readonly states: ReadonlyMap<string, PathState>;
  /** By the identity of the directory. */
  readonly directories: ReadonlyMap<string, DirectoryInterest>;
}

/** How a watched file changed: written in place, or by a file put in another's place. */
export type FileChange = 'replaced' | 'modified';

/** Looks at every path, and at every file of those that are drop-in directories. */
export async function scanPaths(paths: readonly string[]): Promise<PathScan> {
  const states = new Map<string, PathState>();
  const directories = new Map<string, DirectoryInterest>();
  const interestIn = (place: DirectoryPlace): DirectoryInterest => {
    const interest = directories.get(place.identity) ?? { place, names: new Set<string>(), dropIns: false };
    directories.set(place.identity, interest);
    return interest;
  };
  const note = (trace: PathTrace): FileState => {
    for (const { directory, name } of trace.steps) interestIn(directory).names.add(name);
    const last = trace.steps.at(-1);
    const entry = last === undefined ? undefined : entryKey(last.directory.identity, last.name);
    return { target: trace.target, entry };
  };
  for (const path of paths) {
    const trace = await tracePath(path);
    const state = new Map<string, FileState>([['', note(trace)]]);
    if (trace.target.kind === 'directory') {
      const { directory } = trace.target;
      interestIn(directory).dropIns = true;
      const names = await listDropIns(directory.path, 'any').catch(() => undefined);
      if (names === undefined) state.set('', { target: { kind: 'absent', code: 'unreadable' }, entry: undefined });
      for (const name of [...(names?.read ?? []), ...(names?.passedOver ?? [])])
        state.set(name, note(await tracePath(name, directory)));
    }
    states.set(path, state);
  }
  return { states, directories };
}

/** Whether an event for `name` in a directory may matter. */
export function isOfInterest(interest: DirectoryInterest, name: string): boolean {
  return interest.names.has(name) || (interest.dropIns && (isDropInName(name) || isPassedOver(name)));
}

/** A directory entry as one text. */
export function entryKey(directoryIdentity: string, name: string): string {
  return `${directoryIdentity}/${name}`;
}

/**
 * How the watched files changed between two scans; undefined if they did not. Paths in only one of them do not count.
 * `written` are the entries the kernel told of writes to: within a clock tick a write of the same length leaves the
 * signature as it was. Of several changes the one that asks for more patience is told.
 */
export function compareScans(before: PathScan, after: PathScan, written: ReadonlySet<string>): FileChange | undefined {
  let change: FileChange | undefined;
  for (const [path, now] of after.states) {
    const then = before.states.get(path);
    if (then === undefined) continue;
    for (const name of new Set([...then.keys(), ...now.keys()])) {
      const one = compareFiles(then.get(name), now.get(name), written);
      if (one === 'modified') return one;
      change ??= one;
    }
  }
  return change;
}

function compareFiles(
  before: FileState | undefined,
  after: FileState | undefined,
  written: ReadonlySet<string>,
): FileChange | undefined {
  const then = before?.target ?? ABSENT;
  const now = after?.target ?? ABSENT;
  if (now.kind === 'absent') return then.kind === 'absent' && then.code === now.code ? undefined : 'replaced';
  if (now.kind === 'directory') return then.kind === 'directory' ? undefined : 'replaced';
  // Nothing tells a file that was moved in from one that was just created and has yet to be filled.
  if (then.kind !== 'file') return 'modified';
  if (then.identity !== now.identity) return 'replaced';
  const touched = after?.entry !== undefined && written.has(after.entry);
  return touched || then.signature !== now.signature ? 'modified' : undefined;
}

const ABSENT: PathTarget = { kind: 'absent', code: 'ENOENT' };
