import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { streamsOnto } from '#cli/framework/streams.ts';
import { runSgctl } from '#cli/run-sgctl.ts';
import { printable, printableLine } from '#core/diagnostics/printable.ts';

const ESC = '\u{1b}';
/** Sets a terminal's title, turns colours on, turns the line round, hides text; JSON and YAML take all of it. */
const HOSTILE = `${ESC}]0;t\u{7}${ESC}[31m\u{9b}2J\u{7f}\u{202e}\u{2066}\u{200b}\u{200f}\u{61c}\u{2028}\u{feff}\u{e0041}`;
const RAW = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
/** The sequences that colours are made of, and emptying the screen. */
const OURS = /\u{1b}\[(?:0|1|2|1;3[1-6])m/gu;

const POLICY = `version: 1
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 22, source: any, description: ssh }] }
instances:
  host: { interfaces: { eth0: { addresses: [192.0.2.9], securityGroups: [web] } } }
`;

let directory: string;
const at = (name: string): string => join(directory, name);

/** Runs sgctl on a terminal with colours, or into files. */
async function sgctl(args: readonly string[], isTTY = true): Promise<{ out: string; err: string }> {
  const said = { out: '', err: '' };
  const output = (name: 'out' | 'err') => ({ write: (text: string) => (said[name] += text), isTTY });
  await runSgctl(args, streamsOnto({ out: output('out'), err: output('err') }, false));
  return said;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'terminal-'));
  await writeFile(at('good.yaml'), POLICY);
  await writeFile(at('new.yaml'), POLICY.replace('ports: 22', 'ports: 25'));
  await writeFile(at(`${HOSTILE}.yaml`), POLICY);
  await writeFile(at(`bad${HOSTILE}.yaml`), POLICY.replace('ports: 22', 'prots: 22'));
  await writeFile(
    at('list.yaml'),
    `version: 1\naddressGroups: { a: { file: "l\\u200c.txt" }, b: { file: "m\\u200d.txt" } }\n`,
  );
  await writeFile(at('l\u{200c}.txt'), `zzz${HOSTILE}\n`);
});

afterAll(() => rm(directory, { recursive: true }));

describe('printable', () => {
  test.each([
    [`a${ESC}[31m`, 'a\\u001b[31m'],
    ['a\r\u{8}\u{7f}\u{9b}', 'a\\u000d\\u0008\\u007f\\u009b'],
    ['\u{202e}gpj\u{2066}\u{2069}', '\\u202egpj\\u2066\\u2069'],
    ['\u{200b}\u{200c}\u{200d}\u{200e}\u{61c}', '\\u200b\\u200c\\u200d\\u200e\\u061c'],
    ['\u{2028}\u{2029}\u{feff}\u{2060}\u{ad}', '\\u2028\\u2029\\ufeff\\u2060\\u00ad'],
    ['\u{e0041}\u{d800}', '\\udb40\\udc41\\ud800'],
    ['\u{3164}\u{115f}\u{34f}', '\\u3164\\u115f\\u034f'],
    // As they are.
    ['a\n\tb', 'a\n\tb'],
    ['Grüße, 漢字, שלום, ❤\u{fe0f} 😀', 'Grüße, 漢字, שלום, ❤\u{fe0f} 😀'],
  ])('%j', (text, shown) => expect(printable(text)).toBe(shown));

  test('of a line has no line breaks', () => expect(printableLine('a\nb\tc')).toBe('a\\u000ab\\u0009c'));

  test('of JSON means the same', () => {
    const value = { [HOSTILE]: [HOSTILE, '\\u202e', '\\'] };
    const shown = printable(JSON.stringify(value, null, 2));
    expect(shown).not.toMatch(RAW);
    expect(JSON.parse(shown)).toEqual(value);
  });
});

describe('names, files and arguments', () => {
  const packet = '--direction inbound --protocol tcp --src 192.0.2.1 --dst 192.0.2.9 --dport 22 --instance host';
  const explain = ['explain', ...packet.split(' '), '--policy'];
  const named = `${HOSTILE}.yaml`;
  test.each<readonly [string, readonly string[], RegExp]>([
    ['check', ['check', named], /u001b.*valid/],
    ['check of a bad one', ['check', `bad${named}`], /error\[unknown-key\]/],
    ['check of none', ['check', `none${HOSTILE}`], /error\[/],
    ['check of a list', ['check', 'list.yaml'], /zzz/],
    ['lint', ['lint', named], /u001b/],
    ['compile', ['compile', named, '--instance', 'host'], /table inet/],
    ['explain', [...explain, named], /allow/],
    ['plan', ['plan', 'new.yaml', '--against', named, '--instance', 'host'], /newly/],
    ['plan --json', ['plan', 'new.yaml', '--against', named, '--instance', 'host', '--json'], /"changes"/],
    ['graph', ['graph', named], /flowchart/],
    ['graph as svg', ['graph', named, '--format', 'svg'], /who reaches whom: [^<]*u001b/],
    ['graph as html', ['graph', named, '--format', 'html'], /who reaches whom: [^<]*u001b/],
    ['a command', [HOSTILE], /there is no command/],
    ['an option', ['check', `--${HOSTILE}`], /there is no option/],
    ['an address', ['explain', '--direction', 'inbound', '--protocol', 'tcp', '--src', HOSTILE], /u001b|\u{fffd}/u],
    ['an instance', [...explain, 'good.yaml', '--instance', HOSTILE], /u001b|\u{fffd}/u],
    ['a socket', ['status', '--runtime-dir', `/none${HOSTILE}`], /no daemon serves .*u001b/],
    ['a version', ['rollback', HOSTILE], /is no version/],
    ['a time', ['try', '--timeout', HOSTILE], /--timeout is/],
    ['a level', ['lint', '--fail-on', HOSTILE], /is one of/],
    ['too much', ['status', HOSTILE], /unexpected/],
  ])('%s', async (_, args, expected) => {
    const files = args.map((one) => (one.endsWith('.yaml') ? at(one) : one));
    const { out, err } = await sgctl(files);
    expect(`${out}${err}`).toMatch(expected);
    expect(`${out}${err}`.replace(OURS, '')).not.toMatch(RAW);
  });

  test('colours are there all the same', async () => {
    expect((await sgctl(['check', at(`bad${HOSTILE}.yaml`)])).err).toContain(`${ESC}[1;31merror[unknown-key]${ESC}[0m`);
    expect((await sgctl(['check', at(`bad${HOSTILE}.yaml`)], false)).err).not.toContain(ESC);
  });

  test('a picture in a file is as harmless', async () => {
    for (const format of ['svg', 'html']) {
      await sgctl(['graph', at(`${HOSTILE}.yaml`), '-o', at(`picture.${format}`)]);
      const text = await readFile(at(`picture.${format}`), 'utf8');
      expect(text).toContain('who reaches whom');
      expect(text).not.toMatch(RAW);
    }
  });
});

describe('answers of a daemon that lies', () => {
  const rule = {
    group: HOSTILE,
    direction: 'inbound',
    index: 0,
    template: null,
    family: 'ipv4',
    action: 'allow',
    priority: 1,
    file: HOSTILE,
    line: 1,
    column: 1,
    description: HOSTILE,
    packets: 1,
    bytes: 1,
  };
  const entry = {
    time: '2026-01-01T00:00:00.000Z',
    verdict: 'deny',
    direction: 'inbound',
    interface: HOSTILE,
    protocol: 'tcp',
    src: HOSTILE,
    sport: 1,
    dst: HOSTILE,
    dport: 22,
    reason: 'rule',
    rule,
    icmpType: null,
    icmpCode: null,
    length: 60,
  };
  const trial = { file: HOSTILE, since: '2026-01-01T00:00:00.000Z', secondsLeft: 9 };
  const version = {
    number: 1,
    time: '2026-01-01T00:00:00.000Z',
    origin: 'file',
    of: null,
    instance: HOSTILE,
    documents: ['p'],
    identity: HOSTILE,
  };
  const answers: Readonly<Record<string, unknown>> = {
    '/v1/status': {
      version: HOSTILE,
      state: 'refused',
      policyFile: HOSTILE,
      instance: HOSTILE,
      inForce: { generation: 1, stamp: HOSTILE, since: HOSTILE, ageSeconds: 1 },
      refusal: { since: HOSTILE, diagnostics: [], text: HOSTILE },
      interfaces: [{ name: HOSTILE, pattern: '*', groups: [HOSTILE], rules: { inbound: 0, outbound: 0 } }],
      unmanagedInterfaces: { names: [HOSTILE], action: 'allow' },
      absentInterfaces: [HOSTILE],
      otherChains: [
        { table: HOSTILE, chain: HOSTILE, type: 'filter', hook: 'input', policy: 'drop', madeBy: [HOSTILE] },
      ],
      publishedPorts: [{ table: HOSTILE, protocol: HOSTILE, port: HOSTILE, to: HOSTILE }],
      missingFeatures: [HOSTILE],
      troubles: [{ since: HOSTILE, message: HOSTILE }],
      warnings: [
        {
          ...{ file: HOSTILE, line: 1, column: 1, code: HOSTILE, message: HOSTILE },
          ...{ severity: 'warning', help: null, related: [] },
        },
      ],
      forwardedTraffic: 'not filtered',
      changesApplied: 0,
      driftsMended: 0,
      trial,
      pinned: null,
    },
    '/v1/log': { entries: [entry] },
    '/v1/log/follow': entry,
    '/v1/stats': {
      stats: {
        counters: true,
        rules: [rule],
        defaults: [{ direction: 'inbound', interfaces: [HOSTILE], packets: 1, bytes: 1 }],
      },
    },
    '/v1/history': { versions: [version] },
    '/v1/history/1': {
      ...version,
      texts: { instance: HOSTILE, documents: ['p'], texts: { p: HOSTILE, [HOSTILE]: '' } },
    },
  };
  let daemon: Server;

  beforeAll(async () => {
    daemon = createServer(({ url = '' }, response) => {
      const answer = answers[url];
      response.writeHead(answer === undefined ? 409 : 200);
      response.end(`${JSON.stringify(answer ?? { error: HOSTILE })}\n`);
    });
    await new Promise<void>((resolve) => daemon.listen(at('secgroupd.sock'), resolve));
  });

  afterAll(() => daemon.close());

  test.each<readonly [readonly string[], RegExp]>([
    [['status'], /u001b/],
    [['status', '--json'], /u001b/],
    [['log'], /u001b/],
    [['log', '--follow'], /u001b/],
    [['log', '--json'], /u001b/],
    [['stats'], /u001b/],
    [['history'], /u001b/],
    [['history', '1'], /u001b/],
    [['history', '1', '--json'], /u001b/],
    [['rollback', '1'], /u001b/],
    [['confirm'], /u001b/],
  ])('%j', async (args, expected) => {
    const { out, err } = await sgctl([...args, '--runtime-dir', directory]);
    expect(`${out}${err}`).toMatch(expected);
    expect(`${out}${err}`.replace(OURS, '')).not.toMatch(RAW);
  });

  test('JSON means what the daemon said, and a kept policy goes to a file as it is', async () => {
    const { out } = await sgctl(['status', '--json', '--runtime-dir', directory]);
    expect(JSON.parse(out)).toEqual(answers['/v1/status']);
    expect((await sgctl(['history', '1', '--runtime-dir', directory], false)).out).toBe(HOSTILE);
  });
});
