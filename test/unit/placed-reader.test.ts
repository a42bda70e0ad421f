import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { check } from '#cli/commands/check.ts';
import { compile } from '#cli/commands/compile.ts';
import { explain } from '#cli/commands/explain.ts';
import { graph } from '#cli/commands/graph.ts';
import { lint } from '#cli/commands/lint.ts';
import { type Command, EXIT } from '#cli/framework/command.ts';
import { FileError } from '#host/files/policy-files.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';
import { readFifo, readReadable } from '#host/files/policy-stream.ts';
import { type Ran, ranCommand } from './run-command.ts';

const POLICY = `version: 1
addressGroups: { office: { file: lists/office.txt } }
securityGroups: { web: { inbound: [{ protocol: tcp, ports: 22, source: { addressGroup: office } }] } }
instances: { host: { interfaces: { eth0: { addresses: [192.0.2.1], securityGroups: [web, more] } } } }
`;
const MORE = 'securityGroups: { more: { inbound: [{ protocol: tcp, ports: 80, source: any }] } }\n';
const LIMITS = { maxBytes: 1_000, maxSeconds: 20, maxWriterSeconds: 20 } as const;

let directory: string;
let place: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'secgroupd-placed-'));
  for (const name of ['etc/policy.d', 'etc/lists', 'elsewhere']) mkdirSync(join(directory, name), { recursive: true });
  place = put('etc/policy.yaml', 'version: 1\nnonsense: true\n');
  put('etc/policy.d/10-more.yaml', MORE);
  put('etc/lists/office.txt', '198.51.100.0/24\n');
  file = put('elsewhere/source.yaml', POLICY);
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function put(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
}

function makeFifo(name: string): string {
  execFileSync('mkfifo', [join(directory, name)]);
  return join(directory, name);
}

const run = (command: Command, ...args: readonly string[]): Promise<Ran> => ranCommand(command, args);

describe('--as', () => {
  test('judges a file with the lists and drop-ins beside the path, and not without', async () => {
    expect(await run(check, file, '--as', place)).toEqual({
      status: EXIT.success,
      out: expect.stringContaining(`${file}: valid (2 security groups`),
      err: '',
    });
    const { status, err } = await run(check, file);
    expect(status).toBe(EXIT.no);
    expect(err).toContain(`${file}:4:`);
    expect(err).toContain(`\`${join(directory, 'elsewhere/lists/office.txt')}\` does not exist`);
  });

  test('names in diagnostics the file that each mistake is in', async () => {
    put('elsewhere/source.yaml', POLICY.replace('22', '"22x"'));
    put('etc/lists/office.txt', 'nowhere\n');
    const { status, out } = await run(check, file, '--as', place, '--json');
    expect(status).toBe(EXIT.no);
    const told = JSON.parse(out) as readonly { readonly file: string; readonly line: number }[];
    expect(told.map((one) => [one.file, one.line])).toEqual([
      [file, 3],
      [join(directory, 'etc/lists/office.txt'), 1],
    ]);
  });

  test('the path need not be there yet, and is no directory', async () => {
    rmSync(place);
    expect(await run(check, file, '--as', place)).toMatchObject({ status: EXIT.success });
    for (const path of [join(directory, 'etc'), `${place}/`, '']) {
      const { status, err } = await run(check, file, '--as', path);
      expect([status, err]).toEqual([EXIT.usage, expect.stringContaining('--as is the path that the file will have')]);
    }
  });

  test('a path among the drop-ins stands for the policy with this drop-in', async () => {
    put('etc/policy.yaml', POLICY);
    const dropIn = put('elsewhere/source', MORE.replace('80', '81'));
    const asked = ['--direction', 'inbound', '--protocol', 'tcp', '--src', '203.0.113.1', '--dst', '192.0.2.1'];
    const verdict = async (port: number, name: string): Promise<unknown> => {
      const at = ['--policy', dropIn, '--as', join(directory, 'etc/policy.d', name), '--instance', 'host'];
      const { out } = await run(explain, ...asked, '--dport', String(port), ...at, '--json');
      const { verdict: said, rule } = JSON.parse(out) as { verdict: string; rule: { file: string } | null };
      return [said, rule?.file];
    };
    expect([await verdict(81, '10-more.yaml'), await verdict(80, '10-more.yaml')]).toEqual([
      ['allow', dropIn],
      ['deny', undefined],
    ]);
    // In its order: the other one stays.
    expect((await run(check, dropIn, '--as', join(directory, 'etc/policy.d/05-new.yaml'))).err).toContain(
      join(directory, 'etc/policy.d/10-more.yaml'),
    );
  });

  test.each<[string, Command, (path: string) => readonly string[]]>([
    ['lint', lint, (path) => [path]],
    ['compile', compile, (path) => [path, '--instance', 'host']],
    ['graph', graph, (path) => [path]],
    [
      'explain',
      explain,
      (path) =>
        `--policy ${path} --instance host --direction inbound --protocol tcp --src 203.0.113.1 --dst 192.0.2.1 --dport 80 --expect allow`.split(
          ' ',
        ),
    ],
  ])('%s has it too', async (_, command, args) => {
    expect(await run(command, ...args(file), '--as', place)).toMatchObject({ status: EXIT.success, err: '' });
    expect(await run(command, ...args(file))).toMatchObject({ status: EXIT.no });
  });
});

describe('a policy that comes by a stream', () => {
  test('is read from a FIFO, whose lists are beside the path that it is to have', async () => {
    const fifo = makeFifo('elsewhere/fifo');
    const writer = spawn('sh', ['-c', `sleep 0.2; cat ${file} >${fifo}`]);
    expect(await run(check, fifo, '--as', place)).toMatchObject({ status: EXIT.success });
    writer.kill();
  });

  test('is read from a FIFO to its end, however slowly it comes', async () => {
    const fifo = makeFifo('fifo');
    const writer = spawn('sh', ['-c', `(printf a; sleep 0.2; printf b) >${fifo}`]);
    expect(await readFifo(fifo, LIMITS)).toBe('ab');
    writer.kill();
  });

  test('a FIFO that nobody writes to is given up', async () => {
    await expect(readFifo(makeFifo('fifo'), { ...LIMITS, maxWriterSeconds: 0.2 })).rejects.toThrow(
      /is a FIFO that nobody has written to for 0.2 s/,
    );
  });

  test('a FIFO whose writer never ends is given up, by its time and by its size', async () => {
    const fifo = makeFifo('fifo');
    const silent = spawn('sh', ['-c', `exec sleep 30 >${fifo}`]);
    await expect(readFifo(fifo, { ...LIMITS, maxSeconds: 0.5 })).rejects.toThrow(/has not ended after 0.5 s/);
    silent.kill();
    const endless = spawn('sh', ['-c', `exec yes >${fifo}`]);
    await expect(readFifo(fifo, LIMITS)).rejects.toThrow(/is bigger than 1000 bytes/);
    // Its pipe has no reader any more.
    expect(await new Promise((resolve) => endless.once('exit', (_code, signal) => resolve(signal)))).toBe('SIGPIPE');
  });

  test.each<[string, () => Readable, RegExp]>([
    ['that ends', () => Readable.from([Buffer.from('a'), Buffer.from('b')]), /^ab$/],
    ['that ends too late', () => new Readable({ read: () => undefined }), /`<stdin>` has not ended after 0.2 s/],
    [
      'that does not end',
      () =>
        new Readable({
          read() {
            this.push(Buffer.alloc(100));
          },
        }),
      /`<stdin>` is bigger than 1000 bytes/,
    ],
    ['of no UTF-8', () => Readable.from([Buffer.from([0xff])]), /`<stdin>` is not UTF-8/],
  ])('standard input %s', async (_, stream, said) => {
    const limits = { maxBytes: 1_000, maxSeconds: 0.2 };
    const text = await readReadable(stream(), '<stdin>', limits).catch((error: unknown) => {
      if (error instanceof FileError) return error.message;
      throw error;
    });
    expect(text).toMatch(said);
  });

  test('never by the reader of what is enforced', async () => {
    const text = await createPolicyReader(makeFifo('fifo'), 'any').readPolicy();
    expect(text).toMatchObject({ kind: 'unreadable', message: expect.stringContaining('is a FIFO') });
    expect(await createPolicyReader('-', 'any').readPolicy()).toMatchObject({ kind: 'unreadable' });
  });

  test('standard input cannot be policy and batch at once', async () => {
    const { status, err } = await run(explain, '--policy', '-', '--batch', '-');
    expect([status, err]).toEqual([EXIT.usage, expect.stringContaining('standard input is read once')]);
  });
});
