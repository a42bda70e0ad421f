import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DaemonProcess } from '../netns/harness-daemon/daemon.ts';
import { createSite, replaceFile, type Site } from '../netns/harness-daemon/site.ts';

let site: Site;
let daemon: DaemonProcess;

// One daemon for all of it: what it survives it has to survive one after the other.
beforeAll(async () => {
  site = await createSite({ interfaces: [{ name: 'eth0' }] });
  replaceFile(list(), '203.0.113.0/24\n');
  replaceFile(site.policyFile, policy());
  daemon = await site.start();
});

afterAll(async () => {
  await site.remove();
});

beforeEach(() => {
  writeFileSync(`/proc/${daemon.pid}/clear_refs`, '5');
});

/** Puts `text` in place of a file, and waits until it is in force. */
async function mend(path: string, text: string): Promise<void> {
  rmSync(path, { recursive: true, force: true });
  const { changesApplied } = await daemon.status();
  replaceFile(path, text);
  await daemon.until(
    'the mended one is in force',
    (now) => now.state === 'enforced' && now.changesApplied > changesApplied,
    60_000,
  );
}

let mends = 0;

/** Says something that nothing before it said. */
function another(): string {
  mends += 1;
  return policy(`      - { protocol: tcp, ports: ${1_000 + mends}, source: any }\n`);
}

/** What a daemon may take at the most while somebody feeds it the worst, in kB. */
const MOST_MEMORY = 700_000;

/** Nor may it be busy with that for so long, in milliseconds. */
const MOST_PATIENCE = 15_000;

function list(): string {
  return join(site.directory, 'etc/list.txt');
}

function policy(more = ''): string {
  return `version: 1
addressGroups:
  good: { file: list.txt }
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: 80, source: { addressGroup: good } }
${more}    outbound:
      - { destination: any }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

/** The most that the daemon has taken since it was forgotten how much that was, in kB. */
function memory(): number {
  return Number(/VmHWM:\s*([0-9]+) kB/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]);
}

/** Names that end in a number of anchors, each twice the one before. */
const BILLION_LAUGHS = `version: 1
a: &a [x, x, x, x, x, x, x, x, x, x]
${'bcdefghijk'
  .split('')
  .map((name, i) => `${name}: &${name} [${`*${'abcdefghijk'[i]}, `.repeat(9)}*${'abcdefghijk'[i]}]`)
  .join('\n')}
`;

type Spoil = (path: string) => void;

const put =
  (content: string | Buffer): Spoil =>
  (path) =>
    writeFileSync(path, content);

/** What can stand in the place of any file; each takes its place. */
const THINGS: readonly (readonly [string, Spoil, RegExp])[] = [
  ['a file of 200 MB of nothing', (path) => (writeFileSync(path, ''), truncateSync(path, 200e6)), /bigger than/],
  ['a FIFO', (path) => execFileSync('mkfifo', [path]), /is a FIFO, not a regular file/],
  ['a device that never ends', (path) => symlinkSync('/dev/zero', path), /is a device, not a regular file/],
  ['a directory', (path) => mkdirSync(path), /is a directory, not a regular file/],
  ['a link to itself', (path) => symlinkSync(path, path), /fix the loop|ELOOP|too many symbolic links/],
  ['a link to a secret', (path) => symlinkSync('/etc/shadow', path), /error|not|unexpected/i],
  ['a file that claims no size', (path) => symlinkSync('/proc/kallsyms', path), /bigger than|not|error/i],
  ['Latin-1', put(Buffer.from('# gr\xfc\xdfe\n', 'latin1')), /is not UTF-8: byte 4, in line 1/],
  [
    'a file of another user',
    (path) => (writeFileSync(path, ''), execFileSync('chown', ['12345', path])),
    /belongs to user 12345/,
  ],
  [
    'a file that all may write',
    (path) => (writeFileSync(path, ''), execFileSync('chmod', ['666', path])),
    /can be written by others/,
  ],
];

const POLICIES: readonly (readonly [string, Spoil, RegExp])[] = [
  ...THINGS,
  ['NUL', put(`${policy()}\0\n`), /./],
  ['a billion laughs', put(BILLION_LAUGHS), /./],
  ['20,000 brackets', put(`${'['.repeat(20_000)}\n`), /./],
  [
    '15 MB of one rule',
    put(policy(`      - { protocol: tcp, ports: 81, source: any, descripton: x }\n`.repeat(200_000))),
    /too many|descripton/,
  ],
  [
    'a name that nft would take for more',
    put(policy().replace('  web:\n', '  "web; flush ruleset":\n')),
    /web; flush ruleset/,
  ],
  ['an interface that nft would take for more', put(policy().replace('eth0:', '"eth0\\" accept; #":')), /eth0/],
  ['a terminal’s own language', put(policy().replace('version', '"\\u001b[2Jversion"')), /./],
];

/** What was in force is, the daemon answers, and has not grown. */
async function expectRefused(message: RegExp, before: string): Promise<void> {
  const { refusal } = await daemon.until('it is refused', ({ state }) => state === 'refused', MOST_PATIENCE);
  expect(refusal?.text).toMatch(message);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be shown
  expect(refusal?.text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
  expect(await site.table()).toBe(before);
  expect(memory()).toBeLessThan(MOST_MEMORY);
}

describe('in place of the policy', () => {
  test.each(POLICIES)('%s is refused, and what was in force stays', async (_, spoil, message) => {
    const before = await site.table();
    rmSync(site.policyFile);
    spoil(site.policyFile);
    await expectRefused(message, before);
    await mend(site.policyFile, another());
  });
});

describe('in place of a list', () => {
  test.each(THINGS)('%s is refused, and what was in force stays', async (_, spoil, message) => {
    const before = await site.table();
    rmSync(list());
    spoil(list());
    await expectRefused(message, before);
    mends += 1;
    await mend(
      list(),
      `198.51.100.${mends}
`,
    );
  });

  test('a million wrong lines are told of, some of them, and what was in force stays', async () => {
    const before = await site.table();
    replaceFile(list(), 'flush ruleset; 1.2.3.4/99 } #\n'.repeat(1_000_000));
    await expectRefused(/list\.txt:1/, before);
    await mend(list(), '198.51.100.250\n');
  });
});

describe('in place of a drop-in', () => {
  test.each(POLICIES.filter(([what]) => what !== 'a directory'))(
    '%s is refused, and what was in force stays',
    async (_, spoil, message) => {
      const before = await site.table();
      mkdirSync(site.dropIns, { recursive: true });
      const path = join(site.dropIns, 'a.yaml');
      spoil(path);
      await expectRefused(message, before);
      rmSync(path, { recursive: true, force: true });
      await daemon.until('it is well again', ({ state }) => state === 'enforced');
      expect(await site.table()).toBe(before);
    },
  );
});

test('CRLF, a byte order mark and a missing last end of line are no mistakes', async () => {
  await mend(site.policyFile, another().replaceAll('\n', '\r\n'));
  await mend(site.policyFile, `\ufeff${another()}`);
  await mend(site.policyFile, another().trimEnd());
  await mend(list(), '\ufeff198.51.100.251\r\n198.51.100.252');
});

test('a million addresses are in force', { timeout: 120_000 }, async () => {
  const lines = Array.from({ length: 1_000_000 }, (_, i) => `10.${(i >> 15) & 255}.${(i >> 7) & 255}.${(2 * i) & 255}`);
  await mend(list(), `${lines.join('\n')}\n`);
  expect(memory()).toBeLessThan(2_000_000);
});
