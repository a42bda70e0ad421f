import { createHash } from 'node:crypto';

/** Identifies a text: equal hashes mean equal texts. */
export function hashContent(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex').slice(0, 40)}`;
}
