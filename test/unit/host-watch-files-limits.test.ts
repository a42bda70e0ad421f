import type * as Fs from 'node:fs';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchFiles } from '#host/files/watch-files.ts';

// The kernel's limits on inotify are per user, so they are played here rather than reached.
let refusal: string | undefined;
let armed = 0;
vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof Fs>();
  const watch = (path: string): Fs.FSWatcher => {
    if (refusal !== undefined) throw Object.assign(new Error(`${refusal}: refused`), { code: refusal });
    armed += 1;
    return fs.watch(path);
  };
  return { ...fs, watch };
});

let root: string;
let close: () => void = () => {};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'secgroupd-limits-'));
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc', 'policy.yaml'), 'one');
  armed = 0;
});
afterEach(() => {
  close();
  refusal = undefined;
  rmSync(root, { recursive: true, force: true });
});

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 2_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test.each(['ENOSPC', 'EMFILE', 'EACCES', 'ENOMEM'])(
  '%s: polls, says so once, and watches again when it can',
  async (code) => {
    refusal = code;
    const path = join(root, 'etc', 'policy.yaml');
    const changes: string[] = [];
    const errors: Error[] = [];
    const watch = watchFiles({
      paths: [path],
      onChange: (kind) => changes.push(kind),
      onError: (error) => errors.push(error),
      pollMilliseconds: 20,
    });
    close = () => watch.close();
    await watch.ready();

    for (let round = 0; round < 3; round += 1) {
      changes.length = 0;
      writeFileSync(`${path}.new`, `replaced ${round}`);
      renameSync(`${path}.new`, path);
      await until(() => changes.length > 0, 'the replacement');
      expect(changes).toEqual(['replaced']);
      changes.length = 0;
      writeFileSync(path, `written in place ${round}`);
      await until(() => changes.length > 0, 'the write');
      expect(changes[0]).toBe('modified');
    }
    expect(errors.map(({ message }) => message)).toEqual([
      `cannot watch every directory (${code}: refused); looking every 20 ms instead`,
    ]);
    expect(errors[0]?.cause).toMatchObject({ code });
    expect(armed).toBe(0);

    refusal = undefined;
    const directories = path.split('/').length - 1;
    await until(() => armed === directories, 'the watches');
    await watch.ready();
    expect(errors).toHaveLength(1);
    expect(armed).toBe(directories);
  },
);
