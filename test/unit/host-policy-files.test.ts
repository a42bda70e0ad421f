import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dropInDirectory, listDropIns } from '#host/files/drop-ins.ts';
import { FileError, readTrustedFile } from '#host/files/policy-files.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';
import { invalidUtf8Offset } from '#host/files/utf8.ts';
import { readIdentity } from '#host/identity.ts';

let directory: string;
const options = { maxBytes: 1_000, ownership: 'any' } as const;
const asRoot = process.geteuid?.() === 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'secgroupd-files-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function put(name: string, content: string | Uint8Array, mode = 0o644): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

async function failureOf(reading: Promise<unknown>): Promise<FileError> {
  const failure = await reading.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(failure instanceof FileError)) throw new Error(`expected a FileError, got ${String(failure)}`);
  return failure;
}

describe('readTrustedFile', () => {
  test('reads a file, through symlinks too, and signs it', async () => {
    const path = put('policy.yaml', 'version: 1 # grün\n');
    const link = join(directory, 'link.yaml');
    symlinkSync('policy.yaml', link);
    const file = await readTrustedFile(path, options);
    expect(file).toMatchObject({ path, text: 'version: 1 # grün\n' });
    expect(await readTrustedFile(link, options)).toEqual({ ...file, path: link, readAt: expect.any(Number) });
    expect((await readTrustedFile(path, options)).signature).toBe(file.signature);
    utimesSync(path, 1, 1);
    expect((await readTrustedFile(path, options)).signature).not.toBe(file.signature);
  });

  describe('what was read before is handed out again', () => {
    test('where the file is sure to be the same', async () => {
      const known = await readTrustedFile(put('list', '192.0.2.1\n'), options);
      const later = { ...known, readAt: known.readAt + 2_000 };
      expect(await readTrustedFile(known.path, { ...options, known: later })).toBe(later);
    });

    test('not where it was read so soon after a change that there may have been another in the same tick', async () => {
      const path = put('list', '192.0.2.1\n');
      const known = await readTrustedFile(path, options);
      const read = await readTrustedFile(path, { ...options, known: { ...known, text: 'of before' } });
      expect(read.text).toBe('192.0.2.1\n');
    });

    test('not where its content, its time or its mode is another', async () => {
      const path = put('list', '192.0.2.1\n');
      const first = await readTrustedFile(path, options);
      const known = { ...first, text: 'of before', readAt: first.readAt + 2_000 };
      utimesSync(path, new Date(0), new Date(0));
      expect((await readTrustedFile(path, { ...options, known })).text).toBe('192.0.2.1\n');
      writeFileSync(path, '192.0.2.2\n');
      expect((await readTrustedFile(path, { ...options, known })).text).toBe('192.0.2.2\n');
    });

    test.runIf(asRoot)('not where others may write it by now', async () => {
      const path = put('list', '192.0.2.1\n');
      const first = await readTrustedFile(path, options);
      chmodSync(path, 0o666);
      const known = { ...first, readAt: first.readAt + 2_000 };
      const failure = await failureOf(readTrustedFile(path, { ...options, ownership: 'root', known }));
      expect(failure.kind).toBe('untrusted');
    });
  });

  test('leaves a byte order mark out', async () => {
    expect((await readTrustedFile(put('a', '\uFEFFversion: 1'), options)).text).toBe('version: 1');
  });

  test('reads a file of exactly the limit and refuses one byte more', async () => {
    expect((await readTrustedFile(put('a', 'x'.repeat(1_000)), options)).text).toHaveLength(1_000);
    const failure = await failureOf(readTrustedFile(put('b', 'x'.repeat(1_001)), options));
    expect(failure).toMatchObject({ kind: 'too-big', path: join(directory, 'b') });
    expect(failure.message).toContain('bigger than 1000 bytes');
  });

  test('bounds what a file that claims no size gives', async () => {
    const failure = await failureOf(readTrustedFile('/proc/self/maps', options));
    expect(failure.kind).toBe('too-big');
  });

  test('says a missing file is missing, a broken symlink as well', async () => {
    symlinkSync('nowhere', join(directory, 'broken'));
    for (const name of ['none', 'broken', 'none/below']) {
      const failure = await failureOf(readTrustedFile(join(directory, name), options));
      expect(failure.kind).toBe('missing');
      expect(failure.cause).toMatchObject({ code: 'ENOENT' });
    }
    expect((await failureOf(readTrustedFile(join(put('f', ''), 'below'), options))).kind).toBe('missing');
  });

  test('calls a loop of symlinks unreadable', async () => {
    symlinkSync('loop', join(directory, 'loop'));
    const failure = await failureOf(readTrustedFile(join(directory, 'loop'), options));
    expect(failure).toMatchObject({ kind: 'unreadable', hint: 'fix the loop of symlinks' });
  });

  test('refuses a directory, a FIFO, a device and a socket without blocking', async () => {
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const socket = join(directory, 'socket');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    for (const [path, what] of [
      [directory, 'a directory'],
      [fifo, 'a FIFO'],
      ['/dev/zero', 'a device'],
      [socket, 'a socket'],
    ] as const) {
      const failure = await failureOf(readTrustedFile(path, options));
      expect(failure.kind).toBe('not-regular');
      expect(failure.message).toContain(what);
    }
    server.close();
  });

  test.each([
    ['a lone continuation byte', [0x61, 0x0a, 0x80], 2, 2],
    ['a truncated character', [0x61, 0xc3], 1, 1],
    ['Latin-1', [0x67, 0x72, 0xfc, 0x6e], 2, 1],
    ['an overlong slash', [0xc0, 0xaf], 0, 1],
    ['a surrogate', [0x0a, 0x0a, 0xed, 0xa0, 0x80], 2, 3],
  ])('tells where %s is', async (_, bytes, offset, line) => {
    const failure = await failureOf(readTrustedFile(put('a', Uint8Array.from(bytes)), options));
    expect(failure.kind).toBe('not-utf8');
    expect(failure.message).toContain(`byte ${offset}, in line ${line},`);
  });

  test('gives up on a file that never stops changing', async () => {
    const path = put('a', 'x');
    let stop = false;
    let size = 0;
    const writer = (async () => {
      while (!stop) {
        size = (size + 1) % 500;
        writeFileSync(path, 'x'.repeat(size));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const failure = await failureOf(readTrustedFile(path, options));
    stop = true;
    await writer;
    expect(failure.kind).toBe('changing');
    expect((await readTrustedFile(path, options)).text).toHaveLength(size);
  });

  describe.runIf(asRoot)('ownership root', () => {
    const strict = { ...options, ownership: 'root' } as const;

    test.each([0o600, 0o644, 0o444, 0o755])('trusts mode %o', async (mode) => {
      expect((await readTrustedFile(put('a', 'x', mode), strict)).text).toBe('x');
    });

    test.each([0o664, 0o646, 0o666, 0o620])('refuses mode %o', async (mode) => {
      const failure = await failureOf(readTrustedFile(put('a', 'x', mode), strict));
      expect(failure).toMatchObject({ kind: 'untrusted', hint: `chmod go-w ${join(directory, 'a')}` });
    });

    test.each([0o775, 0o777, 0o1777, 0o757])(
      'refuses what lies in a directory of mode %o, and to list it',
      async (mode) => {
        mkdirSync(join(directory, 'd'));
        const path = put('d/a.yaml', 'x');
        expect((await readTrustedFile(path, strict)).text).toBe('x');
        chmodSync(join(directory, 'd'), mode);
        const hint = `chmod go-w ${join(directory, 'd')}`;
        expect(await failureOf(readTrustedFile(path, strict))).toMatchObject({ kind: 'untrusted', hint });
        expect(await failureOf(listDropIns(join(directory, 'd'), 'root'))).toMatchObject({ kind: 'untrusted', hint });
        expect((await readTrustedFile(path, options)).text).toBe('x');
        expect(await listDropIns(join(directory, 'd'), 'any')).toMatchObject({ read: ['a.yaml'] });
      },
    );

    test('refuses what lies in another user’s directory', async () => {
      mkdirSync(join(directory, 'd'));
      const path = put('d/a.yaml', 'x');
      chownSync(join(directory, 'd'), 12_345, 0);
      expect(await failureOf(readTrustedFile(path, strict))).toMatchObject({ kind: 'untrusted' });
      expect((await readTrustedFile(path, options)).text).toBe('x');
    });

    test('refuses another user’s file, also behind a symlink of ours, and reads it when anybody may own it', async () => {
      const path = put('a', 'x');
      chownSync(path, 12_345, 0);
      const link = join(directory, 'link');
      symlinkSync(path, link);
      for (const name of [path, link]) {
        const failure = await failureOf(readTrustedFile(name, strict));
        expect(failure.kind).toBe('untrusted');
        expect(failure.message).toContain('user 12345');
      }
      expect((await readTrustedFile(link, options)).text).toBe('x');
    });
  });
});

describe('a policy called otherwise', () => {
  test('is named where the policy is missing', async () => {
    const reader = createPolicyReader(join(directory, 'policy.yaml'), 'any');
    expect(await reader.readPolicy()).toMatchObject({ help: 'check the path' });
    put('policy.yml', '');
    expect(await reader.readPolicy()).toMatchObject({
      kind: 'unreadable',
      help: '`policy.yml` is there: rename it to `policy.yaml`, or name it',
    });
    expect((await reader.readDropIns()).passedOver).toEqual([]);
  });

  test('is told of where the policy is there, and not the other way round', async () => {
    const [yaml, yml] = [put('policy.yaml', ''), put('policy.yml', '')];
    expect((await createPolicyReader(yaml, 'any').readDropIns()).passedOver).toMatchObject([{ file: yml }]);
    expect((await createPolicyReader(yml, 'any').readDropIns()).passedOver).toEqual([]);
  });
});

describe('drop-ins', () => {
  test('lists .yaml files in byte order, and what looks like one and is not read', async () => {
    for (const name of [
      'b.yaml',
      'B.yaml',
      'ä.yaml',
      '10.yaml',
      '9.yaml',
      '.hidden.yaml',
      'a.yaml~',
      '#a.yaml#',
      '.a.yml',
      '.a.yaml.swp',
      'a.yaml.bak',
      'a.yaml.rpmsave',
      'a.yaml.dpkg-old',
      'a.yml~',
      'banned.txt',
      'README',
      'README.md',
      'a.yaml.disabled',
      'a.yml',
      'a.YAML',
      'a.json',
      'a.conf',
    ]) {
      put(name, '');
    }
    expect(await listDropIns(directory, 'root')).toEqual({
      read: ['10.yaml', '9.yaml', 'B.yaml', 'b.yaml', 'ä.yaml'],
      passedOver: ['a.YAML', 'a.conf', 'a.json', 'a.yml'],
    });
  });

  test('a missing directory is empty; a file in its place is an error', async () => {
    expect(await listDropIns(join(directory, 'none'), 'root')).toEqual({ read: [], passedOver: [] });
    expect(await failureOf(listDropIns(put('file', ''), 'root'))).toMatchObject({ kind: 'unreadable' });
    mkdirSync(join(directory, 'empty'));
    expect(await listDropIns(join(directory, 'empty'), 'root')).toEqual({ read: [], passedOver: [] });
  });

  test.each([
    ['/etc/secgroupd/policy.yaml', '/etc/secgroupd/policy.d'],
    ['/etc/secgroupd/policy.yml', '/etc/secgroupd/policy.d'],
    ['site.json', 'site.d'],
    ['/etc/a.yaml/policy', '/etc/a.yaml/policy.d'],
    ['/etc/policy.yaml.yaml', '/etc/policy.yaml.d'],
    ['/etc/.yaml', '/etc/.yaml.d'],
  ])('dropInDirectory(%s)', (path, expected) => {
    expect(dropInDirectory(path)).toBe(expected);
  });
});

test('invalidUtf8Offset agrees with the platform on every two-byte text', () => {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let value = 0; value < 65_536; value += 1) {
    const bytes = Uint8Array.of(value >> 8, value & 0xff);
    let valid = true;
    try {
      decoder.decode(bytes);
    } catch {
      valid = false;
    }
    const offset = invalidUtf8Offset(bytes);
    if (valid !== (offset === undefined)) throw new Error(`disagree on ${value.toString(16)}: ${offset}`);
  }
  expect(invalidUtf8Offset(Buffer.from('grün 漢字 🙂'))).toBeUndefined();
});

describe('readIdentity', () => {
  test.each([
    ['0123456789ABCDEF0123456789abcdef\n', '0123456789abcdef0123456789abcdef'],
    ['uninitialized\n', ''],
    ['', ''],
  ])('machine-id %j', async (content, machineId) => {
    expect((await readIdentity(put('machine-id', content))).machineId).toBe(machineId);
  });

  test('needs no machine-id, and fails on one it cannot read', async () => {
    const identity = await readIdentity(join(directory, 'none'));
    expect(identity.machineId).toBe('');
    expect(identity.hostname).not.toBe('');
    expect((await failureOf(readIdentity(directory))).kind).toBe('not-regular');
  });
});
