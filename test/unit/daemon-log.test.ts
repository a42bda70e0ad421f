import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';

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
      contents: `import { createLog } from './src/daemon/log.ts';
        if (process.argv[2] === 'terminal') process.stdout.isTTY = true;
        createLog('info').info(${JSON.stringify(SAID)}, ${JSON.stringify(`said ${HOSTILE}\nsecond line`)});`,
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

function logged(where: 'terminal' | 'journal'): string {
  const { stdout } = spawnSync(process.execPath, [program, where], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '' },
  });
  return stdout;
}

test('the log on a terminal has no sequences but its own colours', () => {
  const text = logged('terminal');
  expect(text).toMatch(/\u{1b}\[3[26]m/u);
  expect(text).toContain('said \\u001b[31m\\u009b2J\\u202e\\u200b');
  expect(text.replace(/\u{1b}\[[0-9]{1,2}m/gu, '')).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
});

test('the log elsewhere is JSON that means what was said', () => {
  const text = logged('journal');
  expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(JSON.parse(text)).toMatchObject({ ...SAID, msg: `said ${HOSTILE}\nsecond line` });
});
