import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { createHistory } from '#host/state/history.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'secgroupd-history-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function texts(policy: string, list = ''): PolicyTexts {
  const files = list === '' ? {} : { '/etc/secgroupd/lists/a.txt': list };
  return {
    instance: 'host',
    documents: ['/etc/secgroupd/policy.yaml'],
    texts: { '/etc/secgroupd/policy.yaml': policy, ...files },
  };
}

async function numbers(): Promise<readonly number[]> {
  return (await createHistory(directory).list()).map(({ number }) => number);
}

test('the newest fifty are kept, and no text that none of them has', async () => {
  const history = createHistory(directory);
  for (let i = 1; i <= 53; i += 1) await history.record(texts(`policy ${i}`), { origin: 'file' });
  expect(await numbers()).toEqual(Array.from({ length: 50 }, (_, i) => 53 - i));
  expect(readdirSync(join(directory, 'history/texts'))).toHaveLength(50);
  expect((await history.read(53))?.texts).toEqual(texts('policy 53'));
  expect(await history.read(3)).toBeUndefined();
});

test('what says the same as the newest is not kept again, whatever its file is called; what was before it is', async () => {
  const history = createHistory(directory);
  await history.record(texts('one'), { origin: 'file' });
  await history.record(
    { instance: 'host', documents: ['/tmp/new.yaml'], texts: { '/tmp/new.yaml': 'one' } },
    { origin: 'try' },
  );
  expect(await numbers()).toEqual([1]);
  await history.record(texts('two'), { origin: 'file' });
  await history.record(texts('one'), { origin: 'rollback', of: 1 });
  expect(await history.list()).toMatchObject([{ number: 3, origin: 'rollback', of: 1 }, { number: 2 }, { number: 1 }]);
});

test('changes of lists alone are one version, and leave those before them', async () => {
  const history = createHistory(directory);
  await history.record(texts('zero'), { origin: 'file' });
  for (const list of ['1', '2', '3']) await history.record(texts('one', list), { origin: 'file' });
  expect(await numbers()).toEqual([4, 1]);
  expect((await history.read(4))?.texts).toEqual(texts('one', '3'));
  await history.record(texts('one', '2'), { origin: 'rollback', of: 1 });
  await history.record(texts('one', '4'), { origin: 'file' });
  expect(await numbers()).toEqual([6, 5, 4, 1]);
});

test('of texts that are too long together only the newest are kept, and never fewer than two', async () => {
  const history = createHistory(directory);
  const long = (letter: string): PolicyTexts => texts(`# ${letter}\n`, letter.repeat(30 * 1024 * 1024));
  for (const letter of ['a', 'b', 'c']) await history.record(long(letter), { origin: 'file' });
  expect(await numbers()).toEqual([3, 2]);
  await history.record(texts('# d\n', 'd'.repeat(70 * 1024 * 1024)), { origin: 'file' });
  expect(await numbers()).toEqual([4, 3]);
  expect(readdirSync(join(directory, 'history/texts'))).toHaveLength(4);
});

test('a damaged version costs that one', async () => {
  const history = createHistory(directory);
  for (const text of ['one', 'two', 'three']) await history.record(texts(text), { origin: 'file' });
  writeFileSync(join(directory, 'history/00000002.json'), '{"number":2');
  expect(await numbers()).toEqual([3, 1]);
  expect(await history.read(2)).toBeUndefined();
  const [digest = ''] = readdirSync(join(directory, 'history/texts'));
  rmSync(join(directory, 'history/texts', digest));
  const kept = await Promise.all([1, 3].map((number) => history.read(number)));
  expect(kept.filter((one) => one !== undefined).length).toBeLessThanOrEqual(2);
});

test('what others put among the texts stays, unless it is called like one', async () => {
  const history = createHistory(directory);
  await history.record(texts('one'), { origin: 'file' });
  const ours = ['0'.repeat(64), `.secgroupd-${'0'.repeat(16)}.tmp`];
  const others = ['shadow', '0'.repeat(63), '0'.repeat(65), 'A'.repeat(64), '.secgroupd-0.tmp', 'b.tmp'];
  for (const name of [...ours, ...others]) writeFileSync(join(directory, 'history/texts', name), 'precious');
  await history.record(texts('two'), { origin: 'file' });
  const left = readdirSync(join(directory, 'history/texts'));
  expect(left).toEqual(expect.arrayContaining(others));
  expect(left).not.toEqual(expect.arrayContaining([ours[0]]));
  expect(left).toHaveLength(others.length + 2);
});

test.each(['history', 'history/texts'])('a symlink in place of %s is not followed', async (name) => {
  const history = createHistory(directory);
  await history.record(texts('one'), { origin: 'file' });
  const elsewhere = mkdtempSync(join(tmpdir(), 'secgroupd-elsewhere-'));
  renameSync(join(directory, name), join(elsewhere, 'moved'));
  symlinkSync(join(elsewhere, 'moved'), join(directory, name));
  const before = readdirSync(elsewhere, { recursive: true });
  const refused = expect.objectContaining({ message: expect.stringContaining('is a symlink') as string }) as Error;
  await expect(history.record(texts('two'), { origin: 'file' })).rejects.toEqual(refused);
  await expect(history.read(1)).rejects.toEqual(refused);
  expect(readdirSync(elsewhere, { recursive: true })).toEqual(before);
  rmSync(elsewhere, { recursive: true });
});

test('neither a symlink nor a FIFO is read as a version or a text', { timeout: 20_000 }, async () => {
  const history = createHistory(directory);
  for (const text of ['one', 'two', 'three']) await history.record(texts(text), { origin: 'file' });
  const version = (number: number): string => join(directory, `history/0000000${number}.json`);
  renameSync(version(2), join(directory, 'two.json'));
  symlinkSync(join(directory, 'two.json'), version(2));
  rmSync(version(3));
  execFileSync('mkfifo', [version(3)]);
  expect(await numbers()).toEqual([1]);
  const { texts: digests } = JSON.parse(readFileSync(version(1), 'utf8')) as { texts: Record<string, string> };
  const text = join(directory, 'history/texts', Object.values(digests)[0] ?? '');
  rmSync(text);
  symlinkSync(join(directory, 'two.json'), text);
  expect(await history.read(1)).toBeUndefined();
});

async function sinceJudged(): Promise<readonly (string | undefined)[]> {
  const kept = await createHistory(directory).sinceJudged();
  return Promise.all(
    kept.map(async (one) => {
      const read = await (await one.open())?.readPolicy();
      return read?.kind === 'text' ? read.text : undefined;
    }),
  );
}

test('flows are to be judged by the policy that judged them last, and by those that came since', async () => {
  const history = createHistory(directory);
  expect(await sinceJudged()).toEqual([]);
  await history.record(texts('one'), { origin: 'file' });
  // Where nothing is noted, the newest is what flows live on by.
  expect(await sinceJudged()).toEqual(['one']);
  const version = await history.record(texts('two'), { origin: 'file' });
  await history.noteJudged(texts('two'), version);
  expect(await sinceJudged()).toEqual(['two']);
  await history.record(texts('three'), { origin: 'file' });
  await history.record(texts('two'), { origin: 'file' });
  expect(await sinceJudged()).toEqual(['two', 'three', 'two']);
  // A look that ends after a newer policy was kept has not judged by that.
  await history.noteJudged(texts('three'), 3);
  expect(await sinceJudged()).toEqual(['three', 'two']);
});

test('what judged flows last is kept though no version says it any more: of a trial, or of earlier lists', async () => {
  const history = createHistory(directory);
  await history.record(texts('one', 'a'), { origin: 'file' });
  await history.noteJudged(texts('tried', 'a'), undefined);
  for (const list of ['b', 'c']) await history.record(texts('one', list), { origin: 'file' });
  expect(await sinceJudged()).toEqual(['tried', 'one']);
  await history.noteJudged(texts('one', 'c'), 3);
  await history.record(texts('one', 'd'), { origin: 'file' });
  const [judged] = await createHistory(directory).sinceJudged();
  const reader = await judged?.open();
  expect(await reader?.readList('/etc/secgroupd/policy.yaml', 'lists/a.txt')).toMatchObject({ text: 'c' });
  // And no text that neither it nor a version has.
  expect(readdirSync(join(directory, 'history/texts'))).toHaveLength(3);
});

test('a note that is damaged, or is no file, costs nothing but itself', async () => {
  const history = createHistory(directory);
  const version = await history.record(texts('one'), { origin: 'file' });
  await history.noteJudged(texts('zero'), version);
  const note = join(directory, 'history/judged.json');
  for (const text of [
    '',
    '{',
    '{"version":1}',
    readFileSync(note, 'utf8').replace(/[0-9a-f]{64}/, '../../../etc/passwd'),
  ]) {
    writeFileSync(note, text);
    expect(await sinceJudged()).toEqual(['one']);
  }
  rmSync(note);
  symlinkSync('/etc/passwd', note);
  expect(await sinceJudged()).toEqual(['one']);
  await history.noteJudged(texts('one'), version);
  expect(await sinceJudged()).toEqual(['one']);
  expect(readFileSync('/etc/passwd', 'utf8')).toContain('root:');
});
