import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listDropIns } from '#host/files/drop-ins.ts';
import { FileError, readTrustedFile } from '#host/files/policy-files.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';

const OTHER = 12_345;
const STRICT = { maxBytes: 1_000, ownership: 'root' } as const;
const asRoot = process.geteuid?.() === 0;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'secgroupd-trust-'));
  for (const name of ['etc', 'home', 'doc']) mkdirSync(join(root, name), { mode: 0o755 });
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function at(name: string): string {
  return join(root, name);
}

function put(name: string, text = 'x'): string {
  mkdirSync(dirname(at(name)), { recursive: true, mode: 0o755 });
  writeFileSync(at(name), text);
  chmodSync(at(name), 0o644);
  return at(name);
}

/** What keeps a file from being read; undefined where it is read. */
async function distrust(path: string): Promise<{ readonly path: string; readonly hint: string } | undefined> {
  return readTrustedFile(path, STRICT).then(
    () => undefined,
    (error: unknown) => {
      if (!(error instanceof FileError) || error.kind !== 'untrusted') throw error;
      return error;
    },
  );
}

describe.runIf(asRoot)('the whole way of a file', () => {
  test('is judged: a directory of another user far above it', async () => {
    const path = put('home/a/b/policy.yaml');
    expect(await distrust(path)).toBeUndefined();
    chownSync(at('home'), OTHER, 0);
    expect(await distrust(path)).toMatchObject({
      path: at('home'),
      message: expect.stringContaining(`belongs to user ${OTHER}`) as string,
      hint: `copy \`${path}\` to a directory that root alone can write to, such as /etc/secgroupd`,
    });
    expect((await readTrustedFile(path, { ...STRICT, ownership: 'any' })).text).toBe('x');
  });

  test('is judged where a symlink leads: the directory of a user that holds a file of root’s', async () => {
    put('home/policy.yaml');
    symlinkSync('../home/policy.yaml', at('etc/policy.yaml'));
    expect(await distrust(at('etc/policy.yaml'))).toBeUndefined();
    chownSync(at('home'), OTHER, 0);
    expect(await distrust(at('etc/policy.yaml'))).toMatchObject({
      path: at('home'),
      hint: `copy \`${at('home/policy.yaml')}\` to a directory that root alone can write to, such as /etc/secgroupd, in place of the symlink`,
    });
  });

  test('is judged where it only passes through: a user’s directory holds a symlink to a file of root’s', async () => {
    put('doc/policy.yaml');
    symlinkSync('../doc/policy.yaml', at('home/link'));
    symlinkSync(at('home/link'), at('etc/policy.yaml'));
    expect(await distrust(at('etc/policy.yaml'))).toBeUndefined();
    chownSync(at('home'), OTHER, 0);
    expect(await distrust(at('etc/policy.yaml'))).toMatchObject({ path: at('home') });
  });

  test('is judged past a symlink to a directory, and back by `..`', async () => {
    put('doc/policy.yaml');
    mkdirSync(at('home/sub'));
    symlinkSync(at('home/sub'), at('etc/sub'));
    const path = `${at('etc/sub')}/../../doc/policy.yaml`;
    expect(await distrust(path)).toBeUndefined();
    chownSync(at('home'), OTHER, 0);
    expect(await distrust(path)).toMatchObject({ path: at('home') });
  });

  test.each([0o775, 0o757, 0o777])('is judged by mode: %o of a directory above', async (mode) => {
    const path = put('home/a/policy.yaml');
    chmodSync(at('home'), mode);
    expect(await distrust(path)).toMatchObject({ path: at('home'), hint: `chmod go-w ${at('home')}` });
    chmodSync(at('home'), 0o755);
    expect(await distrust(path)).toBeUndefined();
  });

  test('may lead through a symlink that another user owns, where he cannot exchange it', async () => {
    put('doc/policy.yaml');
    symlinkSync(at('doc/policy.yaml'), at('etc/policy.yaml'));
    lchownSync(at('etc/policy.yaml'), OTHER, 0);
    expect(await distrust(at('etc/policy.yaml'))).toBeUndefined();
  });

  test('may be a loop of symlinks, which is no question of trust', async () => {
    symlinkSync('loop', at('etc/loop'));
    await expect(readTrustedFile(at('etc/loop'), STRICT)).rejects.toMatchObject({ kind: 'unreadable' });
    await expect(readTrustedFile(at('etc/none'), STRICT)).rejects.toMatchObject({ kind: 'missing' });
  });
});

describe.runIf(asRoot)('a sticky directory that all write to', () => {
  beforeEach(() => {
    chmodSync(at('home'), 0o1777);
  });

  test('keeps a directory of root’s in its place', async () => {
    expect(await distrust(put('home/own/policy.yaml'))).toBeUndefined();
  });

  test('keeps nothing if it is not sticky', async () => {
    const path = put('home/own/policy.yaml');
    chmodSync(at('home'), 0o777);
    expect(await distrust(path)).toMatchObject({ path: at('home') });
  });

  test('keeps nothing from its own owner', async () => {
    const path = put('home/own/policy.yaml');
    chownSync(at('home'), OTHER, 0);
    expect(await distrust(path)).toMatchObject({ path: at('home') });
  });

  test('keeps no directory of another user’s', async () => {
    const path = put('home/own/policy.yaml');
    chownSync(at('home/own'), OTHER, 0);
    expect(await distrust(path)).toMatchObject({ path: at('home') });
  });

  // Whoever has a file or a symlink of root's in a directory of his own can move it there.
  test.each(['file', 'symlink'])('vouches for no %s, even root’s', async (kind) => {
    put('doc/policy.yaml');
    if (kind === 'symlink') symlinkSync(at('doc/policy.yaml'), at('home/policy.yaml'));
    else renameSync(at('doc/policy.yaml'), at('home/policy.yaml'));
    expect(await distrust(at('home/policy.yaml'))).toMatchObject({ path: at('home') });
  });

  test('is named with what to do that does not take it from others', async () => {
    const path = join('/tmp', `secgroupd-trust-${process.pid}.yaml`);
    writeFileSync(path, 'x');
    try {
      expect(await distrust(path)).toMatchObject({ path: '/tmp', hint: expect.stringContaining('copy') as string });
    } finally {
      rmSync(path);
    }
  });
});

describe.runIf(asRoot)('drop-ins', () => {
  test('are not listed by a way that others can change, whether they are there or not', async () => {
    mkdirSync(at('home/policy.d'));
    symlinkSync('../home/policy.d', at('etc/policy.d'));
    expect(await listDropIns(at('etc/policy.d'), 'root')).toEqual({ read: [], passedOver: [] });
    chownSync(at('home'), OTHER, 0);
    const untrusted = { kind: 'untrusted', path: at('home') };
    await expect(listDropIns(at('etc/policy.d'), 'root')).rejects.toMatchObject(untrusted);
    rmSync(at('home/policy.d'), { recursive: true });
    await expect(listDropIns(at('etc/policy.d'), 'root')).rejects.toMatchObject(untrusted);
    expect(await listDropIns(at('etc/policy.d'), 'any')).toEqual({ read: [], passedOver: [] });
  });
});

describe.runIf(asRoot)('a list', () => {
  test('is refused where a user could exchange it, though root owns list and directory', async () => {
    const policy = put('etc/policy.yaml');
    put('home/lists/block.txt', '192.0.2.1\n');
    symlinkSync('../home/lists', at('etc/lists'));
    const reader = createPolicyReader(policy, 'root');
    expect(await reader.readList(policy, 'lists/block.txt')).toMatchObject({ kind: 'text' });
    chownSync(at('home'), OTHER, 0);
    expect(await reader.readList(policy, 'lists/block.txt')).toMatchObject({
      kind: 'unreadable',
      message: expect.stringContaining(`\`${at('home')}\` belongs to user ${OTHER}`) as string,
    });
  });
});
