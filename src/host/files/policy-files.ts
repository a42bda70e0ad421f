import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText } from '#core/diagnostics/error-text.ts';
import { fileIdentity, fileSignature } from './file-signature.ts';
import { absolutePath, type PathTrace, tracePath } from './trace-path.ts';
import { type Distrust, distrustFile, distrustWay, trustedOwners } from './trust.ts';
import { invalidUtf8Offset } from './utf8.ts';

/** The content of a file, and a signature that changes whenever the file does. */
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

/** The conditions for reading a file. */
export interface ReadOptions {
  readonly maxBytes: number;
  /** `root`: only root and this process's user may be able to change the file, or the file that the path leads to. */
  readonly ownership: 'root' | 'any';
  /** What was read under this path before; it is returned again if the file is certainly the same. */
  readonly known?: FileText | undefined;
}

/** File system time advances in steps; a file read this soon after a change may have changed again in the same step. */
const STEP_MILLISECONDS = 1_000;

const MAX_ATTEMPTS = 5;
const PAUSE_MILLISECONDS = 20;
const CHUNK_BYTES = 64 * 1024;

/**
 * Reads a regular UTF-8 file of at most `maxBytes` bytes, through symlinks and without its byte order mark. The checks apply
 * to the opened file, not to its name. Never blocks on a FIFO, device or socket. Throws a FileError.
 */
export async function readTrustedFile(path: string, options: ReadOptions): Promise<FileText> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const file = await readUnchanged(path, options);
    if (file !== undefined) return file;
    await sleep(PAUSE_MILLISECONDS * attempt);
  }
  throw new FileError({
    kind: 'changing',
    path,
    message: `\`${path}\` changed each of the ${MAX_ATTEMPTS} times it was read`,
    hint: 'write a new file and rename it over the old one',
  });
}

async function readUnchanged(path: string, { maxBytes, ownership, known }: ReadOptions): Promise<FileText | undefined> {
  let handle: FileHandle | undefined;
  try {
    // Opening a device can have effects (opening /dev/watchdog arms it), so the name is checked first.
    const trace = ownership === 'root' ? await traceTrusted(path) : undefined;
    refuseIrregular(path, await stat(path, { bigint: true }));
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const before = await handle.stat({ bigint: true });
    refuseIrregular(path, before);
    if (trace !== undefined) {
      // The checked path led to another file: it may lead elsewhere by now.
      if (trace.target.kind !== 'file' || trace.target.identity !== fileIdentity(before)) return undefined;
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

/** Follows a path that only root and this process's user can redirect. Throws a FileError for any other path. */
export async function traceTrusted(path: string): Promise<PathTrace> {
  const trace = await tracePath(absolutePath(path));
  refuse(distrustWay(path, trace, trustedOwners()));
  return trace;
}

function refuse(distrust: Distrust | undefined): void {
  if (distrust !== undefined) throw new FileError({ kind: 'untrusted', ...distrust });
}

/** The text of a file's bytes, without its byte order mark. Throws a FileError if they are not UTF-8. */
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

/** The error for a file of more than `maxBytes`. */
export function tooBig(path: string, maxBytes: number): FileError {
  return new FileError({
    kind: 'too-big',
    path,
    message: `\`${path}\` is bigger than ${maxBytes} bytes`,
    hint: 'split it into several files',
  });
}

/** The error for a failed system call, with a hint on how to fix it. */
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
        ? 'fix the loop of symlinks'
        : 'see the system log';
  const reason = errorText(cause);
  return new FileError({ kind: 'unreadable', path, message: `cannot read \`${path}\`: ${reason}`, hint, cause });
}

/** The code of a failed system call, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
