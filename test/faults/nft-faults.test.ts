import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Script } from '#core/model/nft/script.ts';
import { NftError } from '#kernel/errors.ts';
import { applyChange } from '#kernel/nftables/apply-change.ts';
import { createNft, type Nft, type NftOptions } from '#kernel/nftables/nft.ts';

let directory: string;
let programs = 0;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'secgroupd-nft-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** An nft that is this shell script. */
function fake(script: string, options: Omit<NftOptions, 'command'> = {}): Nft {
  programs += 1;
  const command = join(directory, `nft-${programs}`);
  writeFileSync(command, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return createNft({ command, ...options });
}

/** Lines, the odd ones of which come from rules of a policy. */
const SCRIPT: Script = ['add table inet t', 'add rule one', 'add chain inet t c', 'add rule two'].map((text, i) => ({
  text,
  span: i % 2 === 0 ? undefined : { file: 'policy.yaml', line: 10 + i, column: 3, endLine: 10 + i, endColumn: 9 },
}));

async function failureOf(running: Promise<unknown>): Promise<NftError> {
  const error: unknown = await running.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof NftError)) throw new Error(`no NftError: ${String(error)}`);
  return error;
}

describe('what nft says is told as what it means', () => {
  interface Case {
    readonly what: string;
    readonly script: string;
    readonly failure: NftError['failure'];
    readonly message: RegExp;
    /** The policy's line, if it is known. */
    readonly line?: number;
  }

  const cases: readonly Case[] = [
    {
      what: 'a refusal of a line that comes from a rule',
      script: `echo '/dev/stdin:4:1-12: Error: Could not process rule: File exists' >&2; echo 'add rule two' >&2; echo '^^^' >&2; exit 1`,
      failure: 'refused',
      message: /^Could not process rule: File exists$/,
      line: 13,
    },
    {
      what: 'a refusal of a line that comes from none',
      script: `echo '/dev/stdin:3:1-12: Error: Could not process rule: Too many links' >&2; exit 1`,
      failure: 'refused',
      message: /Too many links/,
    },
    {
      what: 'a refusal of a line that is not in the script',
      script: `echo '/dev/stdin:99:1-12: Error: syntax error' >&2; exit 1`,
      failure: 'refused',
      message: /syntax error/,
    },
    {
      what: 'several refusals, of which the first counts',
      script: `printf '/dev/stdin:2:1-2: Error: one\\nadd\\n^^\\n/dev/stdin:4:1-2: Error: two\\n' >&2; exit 1`,
      failure: 'refused',
      message: /^one$/,
      line: 11,
    },
    { what: 'a failure without a word', script: 'exit 1', failure: 'refused', message: /exit status 1/ },
    {
      what: 'a failure in words of no known form',
      script: `echo 'internal:0:0-0: Error: Out of memory' >&2; exit 1`,
      failure: 'refused',
      message: /Out of memory/,
    },
    {
      what: 'no permission',
      script: `echo '/dev/stdin:1:1-5: Error: Could not process rule: Operation not permitted' >&2; exit 1`,
      failure: 'not-permitted',
      message: /CAP_NET_ADMIN/,
    },
    {
      what: 'no permission, as the cache says it',
      script: `echo 'netlink: Error: cache initialization failed: Operation not permitted' >&2; exit 1`,
      failure: 'not-permitted',
      message: /CAP_NET_ADMIN/,
    },
    {
      what: 'acknowledgements that found no room, whatever was done',
      script: `echo 'netlink: Error: Could not process rule: No buffer space available' >&2; exit 1`,
      failure: 'died',
      message: /No buffer space/,
    },
    { what: 'death by a signal', script: 'kill -SEGV $$', failure: 'died', message: /SIGSEGV/ },
    {
      what: 'death by SIGKILL, as the kernel does without memory',
      script: 'kill -KILL $$',
      failure: 'died',
      message: /SIGKILL/,
    },
  ];

  test.each(cases.map((one) => [one.what, one] as const))('%s', async (_what, { script, failure, message, line }) => {
    const error = await failureOf(fake(script).run(SCRIPT));
    expect(error.failure).toBe(failure);
    expect(error.message).toMatch(message);
    expect(error.span?.line).toBe(line);
  });

  test('success with words on standard error is success', async () => {
    await expect(fake(`cat >/dev/null; echo 'Warning: old' >&2`).run(SCRIPT)).resolves.toBeUndefined();
  });

  test('a program that is not there', async () => {
    const error = await failureOf(createNft({ command: join(directory, 'none') }).run(SCRIPT));
    expect(error.failure).toBe('missing');
    expect(error.message).toContain('apt-get install nftables');
  });

  test('a program that does not end is killed in time', async () => {
    const began = performance.now();
    const error = await failureOf(fake('exec sleep 30', { timeoutMilliseconds: 200 }).run(SCRIPT));
    expect(error.failure).toBe('timeout');
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test('a program that ends without reading a long script fails as what it says, not as a broken pipe', async () => {
    const long: Script = Array.from({ length: 50_000 }, (_, i) => ({ text: `add element ${i}`, span: undefined }));
    const error = await failureOf(fake(`echo '/dev/stdin:1:1-1: Error: no' >&2; exit 1`).run(long));
    expect(error).toMatchObject({ failure: 'refused', message: 'no' });
    await expect(fake('cat >/dev/null').run(long)).resolves.toBeUndefined();
  });

  test('complaints that never end are cut, and the first one is told', async () => {
    const words = `printf '/dev/stdin:2:1-2: Error: too long\\n' >&2; head -c 300000 /dev/zero | tr '\\0' x >&2; exit 1`;
    const error = await failureOf(fake(words).run(SCRIPT));
    expect(error.message).toBe('too long');
    // What came after it is unknown, so whether nft had done its work is too, or nothing was changed: never success.
    expect(['refused', 'died']).toContain(error.failure);
  });

  test('a listing of what is not there is no failure; one that fails otherwise is', async () => {
    const absent = `echo 'Error: No such file or directory' >&2; exit 1`;
    await expect(fake(absent).list(['table', 'inet', 't'])).resolves.toBeUndefined();
    const denied = `echo 'Error: Operation not permitted (you must be root)' >&2; exit 1`;
    expect((await failureOf(fake(denied).list(['table', 'inet', 't']))).failure).toBe('not-permitted');
    await expect(fake('echo "$@"').list(['chains', 'inet'])).resolves.toBe('--terse list chains inet\n');
    await expect(fake('echo "$@"').listElements('inet t s')).resolves.toBe('list set inet t s\n');
  });

  test('nft is looked for where systems keep it too, and speaks one language', async () => {
    process.env['SECGROUPD_PLANTED'] = 'yes';
    const { PATH, LC_ALL, SECGROUPD_PLANTED } = Object.fromEntries(
      ((await fake('env').list(['x'])) ?? '').split('\n').map((line) => line.split('=') as [string, string]),
    );
    delete process.env['SECGROUPD_PLANTED'];
    expect(PATH).toBe(`${process.env['PATH']}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`);
    expect(LC_ALL).toBe('C');
    expect(SECGROUPD_PLANTED).toBeUndefined();
  });
});

describe('a change of several transactions', () => {
  const line = (text: string): Script => [{ text, span: undefined }];
  const step = (text: string) => ({ script: line(text), netlink: undefined, unreferenced: false });

  /** Refuses scripts that say `refuse`, and remembers the others in order. */
  function remembering(): { readonly nft: Nft; readonly done: string[] } {
    const done: string[] = [];
    const nft: Nft = {
      run: async (script) => {
        const text = script.map((one) => one.text).join();
        if (text.includes('refuse')) throw new NftError('refused', text);
        done.push(text);
      },
      list: async () => undefined,
      listElements: async () => undefined,
      listJson: async () => undefined,
    };
    return { nft, done };
  }

  test('runs them in order', async () => {
    const { nft, done } = remembering();
    await applyChange({ nft }, { transactions: [step('one'), step('two')], undo: [line('undo'), [], []] });
    expect(done).toEqual(['one', 'two']);
  });

  test('undoes the first where the second is refused, and throws the refusal', async () => {
    const { nft, done } = remembering();
    const change = { transactions: [step('one'), step('refuse two'), step('three')], undo: [line('undo'), [], []] };
    expect((await failureOf(applyChange({ nft }, change))).message).toBe('refuse two');
    expect(done).toEqual(['one', 'undo']);
  });

  test('undoes nothing where the first is refused, as nothing was done', async () => {
    const { nft, done } = remembering();
    const change = { transactions: [step('refuse one'), step('two')], undo: [line('undo'), [], []] };
    expect((await failureOf(applyChange({ nft }, change))).message).toBe('refuse one');
    expect(done).toEqual([]);
  });

  test('throws the refusal and not that of the undoing', async () => {
    const { nft, done } = remembering();
    const change = { transactions: [step('one'), step('refuse two')], undo: [line('refuse undo'), []] };
    expect((await failureOf(applyChange({ nft }, change))).message).toBe('refuse two');
    expect(done).toEqual(['one']);
  });
});
