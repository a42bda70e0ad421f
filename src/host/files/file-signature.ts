import type { BigIntStats } from 'node:fs';

/**
 * Which file this is, wherever its name moves.
 * Inode numbers are used again at once on ext4 and tmpfs; the time of birth tells such files apart.
 */
export function fileIdentity({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

/** Text that is another whenever the file, its content, its owner or its mode is another, as far as stat can tell. */
export function fileSignature(stats: BigIntStats): string {
  const { size, mtimeNs, ctimeNs, mode, uid, gid } = stats;
  return `${fileIdentity(stats)}:${size}:${mtimeNs}:${ctimeNs}:${mode.toString(8)}:${uid}:${gid}`;
}
