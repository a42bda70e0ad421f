import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileIdentity, fileSignature } from './file-signature.ts';
import { absolutePath, type PathTrace, tracePath } from './trace-path.ts';
import { type Distrust, distrustFile, distrustWay, trustedOwners } from './trust.ts';
import { invalidUtf8Offset } from './utf8.ts';
import { errorText } from '#core/diagnostics/error-text.ts';

/** The content of a file, and a signature that is another whenever the file is. */
export interface FileText {
  readonly path: string;
  readonly text: string;
  readonly signature: string;
  /** When content, owner or mode last changed, by the file system's clock, in milliseconds since 1970. */
  readonly changedAt: number;
  /** When reading began, in milliseconds since 1970. */
  readonly readAt: number;
}

/** Why a file could not be read or may not be trusted. */
export type FileErrorKind =
  | 'missing'
  | 'not-regular'
  | 'too-big'
  | 'untrusted'
  | 'not-utf8'
  | 'unreadable'
  | 'changing'
  | 'unfinished'
  | 'late';

/** A file that could not be read, or may not be trusted; `hint` says what to do about it. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly kind: FileErrorKind;
  readonly path: string;
  readonly hint: string;

  constructor({ kind, path, message, hint, cause }: FileErrorDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.path = path;
    this.hint = hint;
  }
}

interface FileErrorDetails {
  readonly kind: FileErrorKind;
  readonly path: string;
  readonly message: string;
  readonly hint: string;
  readonly cause?: unknown;
}

/** How a file is judged before it is read. */
export interface ReadOptions {
  readonly maxBytes: number;
  /** `root`: nobody but root and this process's user can change the file, or which file the path leads to. */
  readonly ownership: 'root' | 'any';
  /** What was read under this path before: it is handed out again where the file is sure to be the same. */
  readonly known?: FileText | undefined;
}

/** File systems tell the time in steps; a file that was read so soon after a change may have changed in the same step. */
const STEP_MILLISECONDS = 1_000;

const ATTEMPTS = 5;
const PAUSE_MILLISECONDS = 20;
const CHUNK_BYTES = 64 * 1024;

/**
 * Reads a regular UTF-8 file of at most `maxBytes` bytes, through symlinks; a byte order mark is left out.
 * What is judged is the opened file, not its name. Never blocks on a FIFO, device or socket. Throws a FileError.
 */
export async function readTrustedFile(path: string, options: ReadOptions): Promise<FileText> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const file = await readUnchanged(path, options);
    if (file !== undefined) return file;
    await sleep(PAUSE_MILLISECONDS * attempt);
  }
  throw new FileError({
    kind: 'changing',
    path,
    message: `\`${path}\` changed each of the ${ATTEMPTS} times it was read`,
    hint: 'write a new file and rename it over the old one',
  });
}

async function readUnchanged(path: string, { maxBytes, ownership, known }: ReadOptions): Promise<FileText | undefined> {
  let handle: FileHandle | undefined;
  try {
    // Opening a device can act on it (opening /dev/watchdog arms it), so the name is looked at first.
    const way = ownership === 'root' ? await traceTrusted(path) : undefined;
    refuseIrregular(path, await stat(path, { bigint: true }));
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const before = await handle.stat({ bigint: true });
    refuseIrregular(path, before);
    if (way !== undefined) {
      // The way that was judged led to another file: by now it may be another way.
      if (way.target.kind !== 'file' || way.target.identity !== fileIdentity(before)) return undefined;
      refuse(distrustFile(path, before, trustedOwners()));
    }
    if (before.size > BigInt(maxBytes)) throw tooBig(path, maxBytes);
    const signature = fileSignature(before);
    if (known?.signature === signature && isSurelySame(known, before)) return known;
    const readAt = Date.now();
    const bytes = await readAtMost(handle, maxBytes + 1);
    if (fileSignature(await handle.stat({ bigint: true })) !== signature) return undefined;
    if (bytes.length > maxBytes) throw tooBig(path, maxBytes);
    return { path, text: decodeUtf8(path, bytes), signature, changedAt: Number(before.ctimeNs / 1_000_000n), readAt };
  } catch (error) {
    throw error instanceof FileError ? error : systemError(path, error);
  } finally {
    await handle?.close();
  }
}

function isSurelySame({ readAt }: FileText, { ctimeNs }: BigIntStats): boolean {
  return Number(ctimeNs / 1_000_000n) + STEP_MILLISECONDS < readAt;
}

async function readAtMost(handle: FileHandle, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  while (total < limit) {
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, limit - total));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, null);
    if (bytesRead === 0) break;
    chunks.push(chunk.subarray(0, bytesRead));
    total += bytesRead;
  }
  return Buffer.concat(chunks, total);
}

function refuseIrregular(path: string, stats: BigIntStats): void {
  if (stats.isFile()) return;
  const what = stats.isDirectory()
    ? 'a directory'
    : stats.isFIFO()
      ? 'a FIFO'
      : stats.isSocket()
        ? 'a socket'
        : 'a device';
  throw new FileError({
    kind: 'not-regular',
    path,
    message: `\`${path}\` is ${what}, not a regular file`,
    hint: 'name a regular file, or a symlink to one',
  });
}

/** Follows a path that nobody but root and this process's user can lead elsewhere. Throws a FileError for any other. */
export async function traceTrusted(path: string): Promise<PathTrace> {
  const trace = await tracePath(absolutePath(path));
  refuse(distrustWay(path, trace, trustedOwners()));
  return trace;
}

function refuse(distrust: Distrust | undefined): void {
  if (distrust !== undefined) throw new FileError({ kind: 'untrusted', ...distrust });
}

/** The text of a file's bytes, without a byte order mark. Throws a FileError for what is no UTF-8. */
export function decodeUtf8(path: string, bytes: Buffer): string {
  const offset = invalidUtf8Offset(bytes);
  if (offset === undefined) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  const line = bytes.subarray(0, offset).reduce((count, byte) => (byte === 0x0a ? count + 1 : count), 1);
  throw new FileError({
    kind: 'not-utf8',
    path,
    message: `\`${path}\` is not UTF-8: byte ${offset}, in line ${line}, begins no character`,
    hint: 'save the file as UTF-8',
  });
}

/** What is wrong with a file of more than so many bytes. */
export function tooBig(path: string, maxBytes: number): FileError {
  return new FileError({
    kind: 'too-big',
    path,
    message: `\`${path}\` is bigger than ${maxBytes} bytes`,
    hint: 'split it into several files',
  });
}

/** What a system call's failure means for whoever has to mend it. */
export function systemError(path: string, cause: unknown): FileError {
  const code = codeOf(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new FileError({
      kind: 'missing',
      path,
      message: `\`${path}\` does not exist`,
      hint: 'check the path',
      cause,
    });
  }
  // Opening a socket is ENXIO (open(2)); so is a device without a driver.
  if (code === 'ENXIO') {
    const message = `\`${path}\` is not a regular file`;
    return new FileError({
      kind: 'not-regular',
      path,
      message,
      hint: 'name a regular file, or a symlink to one',
      cause,
    });
  }
  const hint =
    code === 'EACCES'
      ? 'run as a user who may read it'
      : code === 'ELOOP'
        ? 'mend the loop of symlinks'
        : 'see the system log';
  const reason = errorText(cause);
  return new FileError({ kind: 'unreadable', path, message: `cannot read \`${path}\`: ${reason}`, hint, cause });
}

/** The code of a system call's failure, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
