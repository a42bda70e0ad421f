import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FileWriteError, writeFileAtomically } from '#host/files/write-file.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'secgroupd-write-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

test('writes text and bytes, and leaves nothing else behind', async () => {
  await writeFileAtomically(join(directory, 'a'), 'grün', 0o600);
  await writeFileAtomically(join(directory, 'b'), Uint8Array.of(0, 255), 0o600);
  expect(readFileSync(join(directory, 'a'), 'utf8')).toBe('grün');
  expect([...readFileSync(join(directory, 'b'))]).toEqual([0, 255]);
  expect(readdirSync(directory)).toEqual(['a', 'b']);
});

test.each([0o600, 0o644, 0o640, 0o666])('gives mode %o whatever the umask and the old mode', async (mode) => {
  const path = join(directory, 'a');
  writeFileSync(path, 'old');
  chmodSync(path, 0o400);
  await writeFileAtomically(path, 'new', mode);
  expect(statSync(path).mode & 0o7777).toBe(mode);
  expect(readFileSync(path, 'utf8')).toBe('new');
});

test('puts a new file in the place of the old one, or of a symlink, and leaves the old one as it was', async () => {
  writeFileSync(join(directory, 'old'), 'old');
  symlinkSync('old', join(directory, 'link'));
  await writeFileAtomically(join(directory, 'link'), 'new', 0o600);
  expect(readFileSync(join(directory, 'old'), 'utf8')).toBe('old');
  expect(readFileSync(join(directory, 'link'), 'utf8')).toBe('new');
});

test('a name as long as names may be can be written', async () => {
  const path = join(directory, 'x'.repeat(255));
  await writeFileAtomically(path, 'x', 0o600);
  expect(readFileSync(path, 'utf8')).toBe('x');
});

test('fails with the cause and leaves no temporary file when the rename fails', async () => {
  const path = join(directory, 'a');
  mkdirSync(join(path, 'full'), { recursive: true });
  const failure: unknown = await writeFileAtomically(path, 'x', 0o600).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(FileWriteError);
  expect(failure).toMatchObject({ path, cause: { code: 'EISDIR' } });
  expect(readdirSync(directory)).toEqual(['a']);
});

test('fails with the cause when there is no directory', async () => {
  const failure: unknown = await writeFileAtomically(join(directory, 'none', 'a'), 'x', 0o600).catch(
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ name: 'FileWriteError', cause: { code: 'ENOENT' } });
});

test('writers at the same time leave one whole file', async () => {
  const path = join(directory, 'a');
  const contents = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
  await Promise.all(contents.map((content) => writeFileAtomically(path, content, 0o600)));
  expect(contents).toContain(readFileSync(path, 'utf8'));
  expect(readdirSync(directory)).toEqual(['a']);
});
