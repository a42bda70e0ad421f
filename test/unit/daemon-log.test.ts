import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LogTarget, logLine } from '#daemon/log-line.ts';

/** An interface may be called so, and the message of a log may quote it. */
const HOSTILE = '\u{1b}[31m\u{9b}2J\u{202e}\u{200b}\\u001b';
const SAID = { name: HOSTILE, nested: { list: [HOSTILE] } };

let directory: string;
let program: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'daemon-log-'));
  program = join(directory, 'log.cjs');
  await build({
    stdin: {
      contents: `import { createLog } from '#daemon/log.ts';
        const [, , format, where] = process.argv;
        if (where === 'terminal') process.stdout.isTTY = true;
        createLog('info', format === '' ? undefined : format).info(${JSON.stringify(SAID)}, ${JSON.stringify(`said ${HOSTILE}\nsecond line`)});`,
      resolveDir: join(import.meta.dirname, '../..'),
    },
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'error',
  });
});

afterAll(() => rmSync(directory, { recursive: true }));

function logged(format: 'text' | 'json' | '', where: 'terminal' | 'elsewhere' = 'elsewhere'): string {
  const { stdout } = spawnSync(process.execPath, [program, format, where], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '', TZ: 'UTC', JOURNAL_STREAM: '1:1' },
  });
  return stdout;
}

test('the log on a terminal has no sequences but its own colours', () => {
  const text = logged('text', 'terminal');
  expect(text).toMatch(/\u{1b}\[3[26]m/u);
  expect(text).toContain('said \\u001b[31m\\u009b2J\\u202e\\u200b');
  expect(text.replace(/\u{1b}\[[0-9]{1,2}m/gu, '')).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
});

test('the log elsewhere is a line of text, with the time', () => {
  const text = logged('text');
  expect(text).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC info {4}said .* \| second line \(name .*\)\n$/);
  expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
});

test('the log is text on a terminal and JSON elsewhere unless a format is asked for', () => {
  const withoutTime = (text: string): string => text.replace(/\d\d:\d\d:\d\d/, 'TIME');
  expect(withoutTime(logged('', 'terminal'))).toBe(withoutTime(logged('text', 'terminal')));
  expect(JSON.parse(logged(''))).toMatchObject({ level: 30 });
});

test('the log that journald reads has the level for it, and leaves the time to it', () => {
  const script = `exec 3>&1; JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/3) exec "$0" "$@"`;
  const { stdout } = spawnSync('sh', ['-c', script, process.execPath, program, '', 'elsewhere'], {
    encoding: 'utf8',
  });
  expect(stdout).toMatch(/^<6>said /);
});

test('the log as JSON means what was said', () => {
  const text = logged('json');
  expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(JSON.parse(text)).toMatchObject({ ...SAID, msg: `said ${HOSTILE}\nsecond line` });
});

const line = (fields: object, target: LogTarget = 'journal'): string =>
  logLine(JSON.stringify({ level: 30, time: 0, ...fields }), target);

test.each<[string, object, string]>([
  [
    'a packet by its message alone',
    {
      packet: { src: '192.0.2.1' },
      msg: 'deny tcp 192.0.2.1:1 -> 192.0.2.2:22 inbound on eth0, by rule web inbound[0], p.yaml:3',
    },
    '<6>deny tcp 192.0.2.1:1 -> 192.0.2.2:22 inbound on eth0, by rule web inbound[0], p.yaml:3\n',
  ],
  [
    'a change with its figures, and without what programs count by',
    {
      version: 3,
      generation: 9,
      change: 'swap',
      instance: 'web-1',
      rules: 12,
      milliseconds: 40,
      msg: 'policy in force',
    },
    '<6>policy in force (version 3, instance web-1, rules 12, milliseconds 40)\n',
  ],
  [
    'an error with its reason',
    { level: 50, err: { message: 'no space', stack: 'at x' }, msg: 'not kept' },
    '<3>not kept: no space\n',
  ],
  [
    'a reason that the message has once',
    { level: 40, err: { message: 'no space' }, msg: 'not kept: no space' },
    '<4>not kept: no space\n',
  ],
  [
    'what to do',
    { level: 50, help: 'name `eth0`', code: 'x', msg: 'NOT PROTECTED' },
    '<3>NOT PROTECTED; help: name `eth0`\n',
  ],
  ['lines that are said as one, so that none passes for an entry', { msg: 'a\n<0>b' }, '<6>a | <0>b\n'],
])('journald is told of %s', (_, fields, text) => expect(line(fields)).toBe(text));
