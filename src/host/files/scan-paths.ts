import { isDropInName, isPassedOver, listDropIns } from './drop-ins.ts';
import { type DirectoryPlace, type PathTarget, type PathTrace, tracePath } from './trace-path.ts';

/** The state of a file, or of an entry of a drop-in directory, in a scan. */
export interface FileState {
  readonly target: PathTarget;
  /** The directory entry of the file itself, behind all symlinks; see `entryKey`. */
  readonly entry: string | undefined;
}

/** The state of a watched path: the path itself under the empty name, the files of a drop-in directory under theirs. */
export type PathState = ReadonlyMap<string, FileState>;

/** A directory in which some names matter. */
export interface DirectoryInterest {
  readonly place: DirectoryPlace;
  readonly names: Set<string>;
  /** Whether all names of drop-in files, read and passed over, matter as well. */
  dropIns: boolean;
}

/** The states of all watched paths at one time. */
export interface PathScan {
  readonly states: ReadonlyMap<string, PathState>;
  /** Keyed by the identity of the directory. */
  readonly directories: ReadonlyMap<string, DirectoryInterest>;
}

/** How a watched file changed: `modified` in place, or `replaced` by another file. */
export type FileChange = 'replaced' | 'modified';

/** Scans every path, and every file of drop-in directories. */
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
 * How the watched files changed between two scans; undefined if they did not. Paths in only one scan do not count. `written`
 * has the entries that the kernel reported writes to: a write of the same length within a clock tick leaves the signature as
 * it was. If there are several changes, returns `modified`, which takes longer to settle.
 */
export function compareScans(before: PathScan, after: PathScan, written: ReadonlySet<string>): FileChange | undefined {
  let change: FileChange | undefined;
  for (const [path, now] of after.states) {
    const then = before.states.get(path);
    if (then === undefined) continue;
    for (const name of new Set([...then.keys(), ...now.keys()])) {
      const ofFile = compareFiles(then.get(name), now.get(name), written);
      if (ofFile === 'modified') return ofFile;
      change ??= ofFile;
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
  // A file that was moved in looks like one that was just created and has yet to be filled.
  if (then.kind !== 'file') return 'modified';
  if (then.identity !== now.identity) return 'replaced';
  const touched = after?.entry !== undefined && written.has(after.entry);
  return touched || then.signature !== now.signature ? 'modified' : undefined;
}

const ABSENT: PathTarget = { kind: 'absent', code: 'ENOENT' };
