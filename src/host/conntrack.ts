import { readFile } from 'node:fs/promises';

const COUNT = '/proc/sys/net/netfilter/nf_conntrack_count';

/**
 * Whether conntrack knows flows in this network namespace, which it does as soon as any table here asks for their
 * state. False where its module is not loaded; true where that cannot be told.
 */
export async function isTracking(): Promise<boolean> {
  try {
    return Number((await readFile(COUNT, 'utf8')).trim()) > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
