import {
  appendFileSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readTrustedFile } from '#host/files/policy-files.ts';
import { type FileWatch, watchFiles } from '#host/files/watch-files.ts';
import { createWriteEvidence, type FilePlace, type WriteEvidence } from '#host/files/write-evidence.ts';
import { createWriteNotices, type WriteNotices } from '#host/files/write-notices.ts';

let root: string;
let notices: WriteNotices;
let evidence: WriteEvidence;
let files: FileWatch;
let closings: number;
let troubles: string[];
let place: FilePlace | undefined;
const open: number[] = [];

const at = (...names: string[]): string => join(root, ...names);
const list = (): string => at('etc', 'list');

async function start(program?: string): Promise<void> {
  notices = createWriteNotices({
    markDirectory: at('run'),
    onNotice: (directory, name, notice) => {
      evidence.onNotice(directory, name, notice);
      if (notice === 'closed') files.onClosed(directory, name);
    },
    onLost: () => evidence.onLost(),
    onTrouble: ({ message }) => troubles.push(message),
    ...(program === undefined ? {} : { program }),
  });
  evidence = createWriteEvidence(notices);
  files = watchFiles({
    paths: [list()],
    onChange: (kind) => {
      if (kind === 'closed') closings += 1;
    },
    onError: ({ message }) => troubles.push(message),
    evidence,
    notices,
  });
  await files.ready();
  if (program === undefined) await isCovered();
}

/** Waits until the directory that holds the file is covered. */
async function isCovered(): Promise<void> {
  for (const end = performance.now() + 5_000; performance.now() < end; await sleep(10)) {
    const { signature } = await readTrustedFile(list(), { maxBytes: 1_000, ownership: 'any' });
    const judged = await evidence.judge({ path: list(), signature, isBlank: false, before: undefined });
    const holder = judged.place?.steps.at(-1)?.directory.identity;
    if (holder !== undefined && notices.covers(holder)) return;
  }
  throw new Error('never covered');
}

/** What is known of the file as it is now, since it was judged last. */
async function judge(): Promise<string> {
  const { text, signature } = await readTrustedFile(list(), { maxBytes: 1_000, ownership: 'any' });
  const judged = await evidence.judge({ path: list(), signature, isBlank: text.trim() === '', before: place });
  ({ place } = judged);
  if (place !== undefined) evidence.forget(place);
  return judged.evidence;
}

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'secgroupd-evidence-')));
  for (const name of ['etc', 'run']) mkdirSync(at(name));
  writeFileSync(list(), 'old\n');
  closings = 0;
  troubles = [];
  place = undefined;
});
afterEach(() => {
  for (const file of open.splice(0)) closeSync(file);
  files.close();
  notices.close();
  rmSync(root, { recursive: true, force: true });
});

function write(path: string, text: string, flags = 'w'): void {
  const file = openSync(path, flags);
  open.push(file);
  writeSync(file, text);
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function replaceDirectory(fill: () => void): void {
  mkdirSync(at('next'));
  writeFileSync(at('next', 'list'), 'next\n');
  fill();
}

describe('with inotifywait', () => {
  beforeEach(async () => {
    await start();
    expect(await judge()).toBe('none');
  });
  afterEach(() => {
    expect(troubles).toEqual([]);
  });

  test.each<[string, string, () => void]>([
    ['written and closed', 'closed', () => writeFileSync(list(), 'new\n')],
    ['appended to', 'closed', () => appendFileSync(list(), 'new\n')],
    ['emptied', 'closed', () => writeFileSync(list(), '')],
    ['being written', 'open', () => write(list(), 'new\n')],
    ['being appended to', 'open', () => write(list(), 'new\n', 'a')],
    ['being overwritten', 'open', () => write(list(), 'new\n', 'r+')],
    ['emptied by a shell', 'open', () => write(list(), '')],
    ['replaced by rename', 'replaced', () => replace(list(), 'new\n')],
    ['replaced by an empty one', 'replaced', () => replace(list(), '')],
    [
      'removed and made anew',
      'closed',
      () => {
        rmSync(list());
        writeFileSync(list(), 'new\n');
      },
    ],
    [
      'removed and being made anew',
      'open',
      () => {
        rmSync(list());
        write(list(), 'new\n');
      },
    ],
    [
      'removed and made anew, without content yet',
      'open',
      () => {
        rmSync(list());
        write(list(), '');
      },
    ],
    [
      'another name of a file from elsewhere',
      'unknown',
      () => {
        rmSync(list());
        writeFileSync(at('other'), 'new\n');
        linkSync(at('other'), list());
      },
    ],
    [
      'replaced by rename, and being written since',
      'open',
      () => {
        replace(list(), 'new\n');
        write(list(), 'more\n', 'a');
      },
    ],
    [
      'replaced by a file that its writer still has open',
      'replaced',
      () => {
        write(at('etc', 'list.new'), 'new\n');
        renameSync(at('etc', 'list.new'), list());
      },
    ],
    [
      'in a directory that was replaced by rename',
      'replaced',
      () =>
        replaceDirectory(() => {
          renameSync(at('etc'), at('old'));
          renameSync(at('next'), at('etc'));
        }),
    ],
    [
      'behind a link that was swapped',
      'replaced',
      () => {
        replaceDirectory(() => undefined);
        symlinkSync('../next/list', at('etc', 'link'));
        renameSync(at('etc', 'link'), list());
      },
    ],
    [
      'in a directory that was removed and made anew',
      'unknown',
      () => {
        rmSync(at('etc'), { recursive: true });
        mkdirSync(at('etc'));
        writeFileSync(list(), 'new\n');
      },
    ],
  ])('a file is told that was %s: %s', async (_, expected, act) => {
    act();
    expect(await judge()).toBe(expected);
  });

  test('a closing is told once the writer closes, and what was told is not told again', async () => {
    const file = openSync(list(), 'w');
    writeSync(file, 'new\n');
    expect(await judge()).toBe('open');
    expect(place !== undefined && (await evidence.isOpen(list(), place))).toBe(true);
    closings = 0;
    closeSync(file);
    for (let look = 0; look < 500 && closings === 0; look += 1) await sleep(10);
    expect(closings).toBe(1);
    expect(await judge()).toBe('closed');
    expect(place !== undefined && (await evidence.isOpen(list(), place))).toBe(false);
    expect(await judge()).toBe('unknown');
  });

  test('writes by another name of the file are not noticed, and not taken for finished', async () => {
    linkSync(list(), at('alias'));
    await sleep(20);
    write(at('alias'), 'new\n');
    expect(await judge()).toBe('unknown');
  });

  test('a writer is followed while the directories change, and files in new ones are judged as before', async () => {
    write(list(), 'new\n');
    mkdirSync(at('etc', 'more'));
    files.setPaths([list(), at('etc', 'more', 'list')]);
    await files.ready();
    for (let look = 0; look < 40; look += 1) {
      // On a busy machine the watch may be asked amid its change; then it does not know, which is no end of the writer.
      expect(['open', 'unknown']).toContain(await judge());
      await sleep(10);
    }
    expect(await judge()).toBe('open');
    for (const file of open.splice(0)) closeSync(file);
    expect(await judge()).toBe('closed');
  });

  test('a program that ends is started again, and a writer of before is not waited for without end', async () => {
    write(list(), 'new\n');
    expect(await judge()).toBe('open');
    const [pid] = await watchersOf(root);
    if (pid === undefined) throw new Error('there is no inotifywait');
    process.kill(pid, 'SIGKILL');
    for (let look = 0; look < 500 && (await judge()) === 'open'; look += 1) await sleep(10);
    expect(await judge()).toBe('unknown');
    await isCovered();
    writeSync(open[0] ?? -1, 'more\n');
    expect(await judge()).toBe('open');
  });

  test('a program that is stopped is not believed, and is replaced', async () => {
    const [pid] = await watchersOf(root);
    if (pid === undefined) throw new Error('there is no inotifywait');
    process.kill(pid, 'SIGSTOP');
    writeFileSync(list(), 'new\n');
    for (let look = 0; look < 3; look += 1) expect(await judge()).toBe('unknown');
    for (let look = 0; look < 500 && (await watchersOf(root)).includes(pid); look += 1) await sleep(10);
    await isCovered();
    writeFileSync(list(), 'newer\n');
    expect(await judge()).toBe('closed');
  });
});

describe('without inotifywait', () => {
  beforeEach(async () => {
    await start('/nonexistent/inotifywait');
    expect(await judge()).toBe('none');
    // What Node's watch was told of before it stood.
    await sleep(20);
  });

  test.each<[string, string, () => void]>([
    ['written and closed', 'unknown', () => writeFileSync(list(), 'new\n')],
    ['being written', 'unknown', () => write(list(), 'new\n')],
    ['replaced by rename', 'replaced', () => replace(list(), 'new\n')],
    ['replaced by an empty one', 'unknown', () => replace(list(), '')],
    [
      'removed and being made anew',
      'unknown',
      () => {
        rmSync(list());
        write(list(), 'new\n');
      },
    ],
    [
      'in a directory that was replaced by rename',
      'replaced',
      () =>
        replaceDirectory(() => {
          renameSync(at('etc'), at('old'));
          renameSync(at('next'), at('etc'));
        }),
    ],
  ])('a file is told that was %s: %s', async (_, expected, act) => {
    act();
    expect(await judge()).toBe(expected);
  });

  test('its lack is told once', async () => {
    for (let look = 0; look < 500 && troubles.length === 0; look += 1) await sleep(10);
    expect(troubles).toEqual(['/nonexistent/inotifywait: it is not installed (package inotify-tools)']);
    expect(notices.trouble()).toBe('it is not installed (package inotify-tools)');
  });
});

/** The processes of inotifywait that watch a directory. */
async function watchersOf(directory: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [program = '', ...words] = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      const isOurs =
        basename(program) === 'inotifywait' &&
        words.some((word) => dirname(`${word}x`) === directory || word.startsWith(`${directory}/`));
      return isOurs ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}
