import type { BigIntStats } from 'node:fs';

/**
 * Identifies a file, whatever its name. ext4 and tmpfs reuse inode numbers at once; the time of birth distinguishes such
 * files.
 */
export function fileIdentity({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

/** A text that changes whenever the file, its content, its owner or its mode changes, as far as stat shows. */
export function fileSignature(stats: BigIntStats): string {
  const { size, mtimeNs, ctimeNs, mode, uid, gid } = stats;
  return `${fileIdentity(stats)}:${size}:${mtimeNs}:${ctimeNs}:${mode.toString(8)}:${uid}:${gid}`;
}
