import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FileWatch, watchFiles } from '#host/files/watch-files.ts';

let root: string;
let changes: string[];
let errors: Error[];
const watches: FileWatch[] = [];

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'secgroupd-watch-')));
  changes = [];
  errors = [];
});
afterEach(() => {
  for (const watch of watches.splice(0)) watch.close();
  rmSync(root, { recursive: true, force: true });
  expect(errors).toEqual([]);
});

const at = (...names: string[]): string => join(root, ...names);
const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

// The poll is put off for hours where a case is about events, so that it cannot stand in for them.
async function start(paths: readonly string[], pollMilliseconds = 10_000_000): Promise<FileWatch> {
  const watch = watchFiles({
    paths,
    onChange: (kind) => changes.push(kind),
    onError: (error) => errors.push(error),
    pollMilliseconds,
  });
  watches.push(watch);
  await watch.ready();
  return watch;
}

async function until(condition: () => boolean, what: string, milliseconds = 2_000): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`timed out: ${what} (saw ${JSON.stringify(changes)})`);
    await sleep(2);
  }
}

/** Runs `act`, waits for the change it makes, lets its echoes pass, and returns the first kind told. */
async function changeBy(act: () => void): Promise<string | undefined> {
  changes.length = 0;
  act();
  await until(() => changes.length > 0, 'a change');
  await sleep(40);
  return changes[0];
}

/** Runs `act` and proves that nothing is told of it, within several times what telling takes. */
async function expectSilence(act: () => void): Promise<void> {
  changes.length = 0;
  act();
  await sleep(60);
  expect(changes).toEqual([]);
}

function replace(path: string, content: string): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

describe('a file', () => {
  beforeEach(() => {
    mkdirSync(at('etc'));
    writeFileSync(at('etc', 'policy.yaml'), 'one');
  });

  test.each<[string, string, () => void]>([
    ['a write in place', 'modified', () => writeFileSync(at('etc', 'policy.yaml'), 'two two')],
    ['a write of the same length', 'modified', () => writeFileSync(at('etc', 'policy.yaml'), 'two')],
    ['an append', 'modified', () => appendFileSync(at('etc', 'policy.yaml'), 'more')],
    ['a hard truncation', 'modified', () => truncateSync(at('etc', 'policy.yaml'), 0)],
    ['a change of mode', 'modified', () => chmodSync(at('etc', 'policy.yaml'), 0o666)],
    ['a rename over it', 'replaced', () => replace(at('etc', 'policy.yaml'), 'two')],
    ['its removal', 'replaced', () => unlinkSync(at('etc', 'policy.yaml'))],
    ['its renaming', 'replaced', () => renameSync(at('etc', 'policy.yaml'), at('etc', 'other'))],
    ['the removal of its directory', 'replaced', () => rmSync(at('etc'), { recursive: true })],
  ])('tells of %s: %s', async (_, kind, act) => {
    await start([at('etc', 'policy.yaml')]);
    expect(await changeBy(act)).toBe(kind);
  });

  test('is silent about everything else in and around its directory', async () => {
    await start([at('etc', 'policy.yaml')]);
    await expectSilence(() => {
      writeFileSync(at('etc', 'other.yaml'), 'x');
      writeFileSync(at('etc', '.policy.yaml.swp'), 'x');
      writeFileSync(at('etc', 'policy.yaml~'), 'x');
      renameSync(at('etc', 'other.yaml'), at('etc', 'another.yaml'));
      mkdirSync(at('etc', 'policy.d'));
      writeFileSync(at('beside'), 'x');
      chmodSync(at('etc'), 0o700);
    });
    expect(await changeBy(() => replace(at('etc', 'policy.yaml'), 'two'))).toBe('replaced');
  });

  test('is watched on after each kind of change', async () => {
    await start([at('etc', 'policy.yaml')]);
    for (let round = 0; round < 3; round += 1) {
      expect(await changeBy(() => replace(at('etc', 'policy.yaml'), 'a'))).toBe('replaced');
      expect(await changeBy(() => writeFileSync(at('etc', 'policy.yaml'), 'b'))).toBe('modified');
      expect(await changeBy(() => unlinkSync(at('etc', 'policy.yaml')))).toBe('replaced');
      expect(await changeBy(() => writeFileSync(at('etc', 'policy.yaml'), 'c'))).toBe('modified');
    }
  });

  test('its whole directory replaced by rename', async () => {
    await start([at('etc', 'policy.yaml')]);
    for (const round of [1, 2]) {
      mkdirSync(at('next'));
      writeFileSync(at('next', 'policy.yaml'), `next ${round}`);
      const kind = await changeBy(() => {
        renameSync(at('etc'), at(`old${round}`));
        renameSync(at('next'), at('etc'));
      });
      expect(kind).toBe('replaced');
      expect(await changeBy(() => writeFileSync(at('etc', 'policy.yaml'), 'written'))).toBe('modified');
      await expectSilence(() => writeFileSync(at(`old${round}`, 'policy.yaml'), 'nobody looks here now'));
    }
  });

  test('its directory removed and made again, inode numbers used again', async () => {
    await start([at('etc', 'policy.yaml')]);
    for (let round = 0; round < 5; round += 1) {
      await changeBy(() => {
        rmSync(at('etc'), { recursive: true });
        mkdirSync(at('etc'));
        if (round % 2 === 0) writeFileSync(at('etc', 'policy.yaml'), 'again');
      });
      expect(await changeBy(() => replace(at('etc', 'policy.yaml'), 'new'))).toBeDefined();
    }
  });

  test('watches of one process do not disturb each other', async () => {
    const first = await start([at('etc', 'policy.yaml')]);
    await start([at('etc', 'policy.yaml')]);
    await changeBy(() => replace(at('etc', 'policy.yaml'), 'two'));
    expect(changes).toEqual(['replaced', 'replaced']);
    first.close();
    await changeBy(() => replace(at('etc', 'policy.yaml'), 'three'));
    expect(changes).toEqual(['replaced']);
  });

  test('tells nothing after close', async () => {
    const watch = await start([at('etc', 'policy.yaml')], 20);
    writeFileSync(at('etc', 'policy.yaml'), 'two');
    watch.close();
    watch.close();
    await watch.ready();
    await expectSilence(() => replace(at('etc', 'policy.yaml'), 'three'));
  });
});

describe('a path that is not there yet', () => {
  test('appears name by name', async () => {
    await start([at('a', 'b', 'policy.yaml')]);
    await expectSilence(() => mkdirSync(at('a')));
    await expectSilence(() => mkdirSync(at('a', 'b')));
    expect(await changeBy(() => writeFileSync(at('a', 'b', 'policy.yaml'), 'x'))).toBe('modified');
  });

  test('appears all at once', async () => {
    await start([at('a', 'b', 'policy.yaml')]);
    mkdirSync(at('stage', 'b'), { recursive: true });
    writeFileSync(at('stage', 'b', 'policy.yaml'), 'x');
    await changeBy(() => renameSync(at('stage'), at('a')));
    expect(await changeBy(() => replace(at('a', 'b', 'policy.yaml'), 'y'))).toBe('replaced');
  });

  test('is a file where a directory should be, then that directory', async () => {
    writeFileSync(at('a'), 'in the way');
    await start([at('a', 'policy.yaml')]);
    await changeBy(() => {
      unlinkSync(at('a'));
      mkdirSync(at('a'));
      writeFileSync(at('a', 'policy.yaml'), 'x');
    });
  });
});

describe('symlinks', () => {
  test('a link to the file is swapped', async () => {
    mkdirSync(at('store'));
    writeFileSync(at('store', 'one'), 'one');
    writeFileSync(at('store', 'two'), 'two');
    symlinkSync('store/one', at('policy.yaml'));
    await start([at('policy.yaml')]);
    expect(await changeBy(() => writeFileSync(at('store', 'one'), 'one, written'))).toBe('modified');
    await expectSilence(() => writeFileSync(at('store', 'two'), 'two, written'));
    symlinkSync('store/two', at('next'));
    expect(await changeBy(() => renameSync(at('next'), at('policy.yaml')))).toBe('replaced');
    expect(await changeBy(() => writeFileSync(at('store', 'two'), 'two, again'))).toBe('modified');
    await expectSilence(() => writeFileSync(at('store', 'one'), 'one, again'));
  });

  test('an absolute link, `..` in a link, and a broken link that heals', async () => {
    mkdirSync(at('x', 'y'), { recursive: true });
    symlinkSync(at('x', 'y'), at('absolute'));
    symlinkSync('../target', at('x', 'y', 'policy.yaml'));
    await start([at('absolute', 'policy.yaml')]);
    expect(await changeBy(() => writeFileSync(at('x', 'target'), 'x'))).toBe('modified');
  });

  test('a loop is no file, until it is mended', async () => {
    symlinkSync('b', at('a'));
    symlinkSync('a', at('b'));
    await start([at('a')]);
    await changeBy(() => {
      unlinkSync(at('b'));
      writeFileSync(at('b'), 'x');
    });
  });

  test('a volume whose `..data` is swapped, as Kubernetes does, file and directory', async () => {
    const publish = (version: number): void => {
      const data = `..2024_${version}`;
      mkdirSync(at('volume', data));
      writeFileSync(at('volume', data, 'policy.yaml'), `version ${version}`);
      writeFileSync(at('volume', data, 'extra.yaml'), `extra ${version}`);
      symlinkSync(data, at('volume', '..data_tmp'));
      renameSync(at('volume', '..data_tmp'), at('volume', '..data'));
    };
    mkdirSync(at('volume'));
    publish(1);
    symlinkSync('..data/policy.yaml', at('volume', 'policy.yaml'));
    symlinkSync('..data/extra.yaml', at('volume', 'extra.yaml'));
    for (const path of [at('volume', 'policy.yaml'), at('volume')]) {
      const watch = await start([path]);
      for (let round = 0; round < 3; round += 1) {
        const old = readlinkSync(at('volume', '..data'));
        expect(await changeBy(() => publish(Math.floor(Math.random() * 1e9)))).toBe('replaced');
        await expectSilence(() => rmSync(at('volume', old), { recursive: true }));
      }
      watch.close();
    }
  });
});

describe('a drop-in directory', () => {
  beforeEach(() => {
    mkdirSync(at('policy.d'));
    writeFileSync(at('policy.d', 'a.yaml'), 'a');
  });

  test.each<[string, string, () => void]>([
    ['a new file', 'modified', () => writeFileSync(at('policy.d', 'b.yaml'), 'b')],
    ['a file that is passed over', 'modified', () => writeFileSync(at('policy.d', 'b.yml'), 'b')],
    ['a removed file', 'replaced', () => unlinkSync(at('policy.d', 'a.yaml'))],
    ['a written file', 'modified', () => writeFileSync(at('policy.d', 'a.yaml'), 'A')],
    ['a replaced file', 'replaced', () => replace(at('policy.d', 'a.yaml'), 'A')],
    ['its own removal', 'replaced', () => rmSync(at('policy.d'), { recursive: true })],
    [
      'a file in its place',
      'modified',
      () => {
        rmSync(at('policy.d'), { recursive: true });
        writeFileSync(at('policy.d'), 'x');
      },
    ],
  ])('tells of %s: %s', async (_, kind, act) => {
    await start([at('policy.d')]);
    expect(await changeBy(act)).toBe(kind);
  });

  test('is silent about names that are no drop-ins', async () => {
    await start([at('policy.d')]);
    await expectSilence(() => {
      for (const name of ['README', '.a.yaml.swp', '.hidden.yaml', 'a.yaml~', 'a.yaml.bak', '4913']) {
        writeFileSync(at('policy.d', name), 'x');
      }
      unlinkSync(at('policy.d', '4913'));
    });
  });

  test('is watched when it appears later, and when it is removed and made again', async () => {
    rmSync(at('policy.d'), { recursive: true });
    await start([at('policy.d')]);
    for (let round = 0; round < 3; round += 1) {
      await changeBy(() => mkdirSync(at('policy.d')));
      expect(await changeBy(() => writeFileSync(at('policy.d', 'x.yaml'), 'x'))).toBe('modified');
      await changeBy(() => rmSync(at('policy.d'), { recursive: true }));
    }
  });
});

test('setPaths watches the new and forgets the old, and a change of a path that stays is not lost', async () => {
  for (const name of ['a', 'b', 'c']) writeFileSync(at(name), name);
  const watch = await start([at('a'), at('b')]);
  writeFileSync(at('b'), 'written just before');
  watch.setPaths([at('b'), at('c')]);
  await watch.ready();
  await until(() => changes.length > 0, 'the change of b');
  await sleep(40);
  await expectSilence(() => writeFileSync(at('a'), 'forgotten'));
  expect(await changeBy(() => writeFileSync(at('c'), 'C'))).toBe('modified');
});

test('the poll finds what no event told of', async () => {
  mkdirSync(at('far'));
  writeFileSync(at('far', 'policy.yaml'), 'x');
  await start([at('far', 'policy.yaml')], 50);
  // A write through another mount or another host raises no event here; neither does one through a name elsewhere.
  const other = mkdtempSync(join(tmpdir(), 'secgroupd-other-'));
  try {
    await changeBy(() => linkSync(at('far', 'policy.yaml'), join(other, 'alias')));
    expect(await changeBy(() => appendFileSync(join(other, 'alias'), 'y'))).toBe('modified');
    expect(await changeBy(() => utimesSync(join(other, 'alias'), 5, 5))).toBe('modified');
  } finally {
    rmSync(other, { recursive: true, force: true });
  }
});

test('500 replacements in all ways leave no descriptor and no watch behind', async () => {
  mkdirSync(at('etc'));
  writeFileSync(at('etc', 'policy.yaml'), '0');
  await start([at('etc', 'policy.yaml'), at('policy.d')]);
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  const before = descriptors();
  const inotifyWatches = (): number =>
    readdirSync('/proc/self/fdinfo').reduce((count, fd) => count + inotifyLines(fd), 0);
  const watchesBefore = inotifyWatches();
  for (let cycle = 0; cycle < 500; cycle += 1) {
    changes.length = 0;
    if (cycle % 5 !== 0) replace(at('etc', 'policy.yaml'), String(cycle));
    else {
      mkdirSync(at('next'));
      writeFileSync(at('next', 'policy.yaml'), String(cycle));
      renameSync(at('etc'), at('old'));
      renameSync(at('next'), at('etc'));
      rmSync(at('old'), { recursive: true });
    }
    await until(() => changes.length > 0, `cycle ${cycle}`);
  }
  await sleep(50);
  expect(descriptors()).toBeLessThanOrEqual(before + 1);
  expect(inotifyWatches()).toBe(watchesBefore);
}, 60_000);

function inotifyLines(fd: string): number {
  try {
    return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('inotify')).length;
  } catch {
    return 0;
  }
}
