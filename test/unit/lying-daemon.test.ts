import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Status } from '#api/status.ts';
import { confirm } from '#cli/commands/confirm.ts';
import { history } from '#cli/commands/history.ts';
import { log } from '#cli/commands/log.ts';
import { rollback } from '#cli/commands/rollback.ts';
import { stats } from '#cli/commands/stats.ts';
import { status } from '#cli/commands/status.ts';
import { tryOut } from '#cli/commands/try.ts';
import { type Command, EXIT } from '#cli/framework/command.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { identityOfTexts } from '#host/files/policy-texts.ts';
import { type Ran, ranCommand } from './run-command.ts';

const policy = (port: number): string => `version: 1
securityGroups: { web: { inbound: [{ protocol: tcp, ports: ${port}, source: any }] } }
instances: { "*": { interfaces: { eth0: { securityGroups: [web] } } } }
`;

const OLD = policy(8000);
const NEW = policy(8001);
const FORGED = policy(31_337);
const CRONTAB = '# root only\n17 * * * * root run-parts /etc/cron.hourly\n';

type Answers = Readonly<Record<string, object | ((response: ServerResponse) => void)>>;

let directory: string;
let policyFile: string;
let tried: string;
let server: Server;
let answers: Answers;
let calls: string[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'secgroupd-liar-'));
  mkdirSync(join(directory, 'etc'));
  policyFile = put('etc/policy.yaml', OLD);
  tried = put('new.yaml', NEW);
  answers = {};
  calls = [];
  server = createServer((incoming, response) => {
    incoming.resume();
    const call = `${incoming.method ?? ''} ${incoming.url ?? ''}`;
    calls.push(call);
    const answer = answers[call] ?? {};
    if (typeof answer === 'function') answer(response);
    else response.end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(join(directory, 'secgroupd.sock'), resolve));
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

function put(name: string, text: string): string {
  writeFileSync(join(directory, name), text, { mode: 0o644 });
  return join(directory, name);
}

/** Runs a command of sgctl against the false daemon. */
const run = (command: Command, ...args: readonly string[]): Promise<Ran> =>
  ranCommand(command, [...args, '--runtime-dir', directory]);

const confirmIt = (...args: readonly string[]): Promise<Ran> => run(confirm, '--policy', policyFile, ...args);
const tryIt = (...args: readonly string[]): Promise<Ran> => run(tryOut, tried, '--policy', policyFile, ...args);

function statusOf(file: string, isTried: boolean): Status {
  return {
    version: '0',
    policyFile: file,
    instance: '*',
    state: isTried ? 'held' : 'enforced',
    protected: true,
    inForce: { generation: 1, stamp: 'x', since: null, ageSeconds: null },
    trial: isTried ? { file: tried, since: '2026-01-01T00:00:00Z', secondsLeft: 60 } : null,
    pinned: null,
    refusal: null,
    warnings: [],
    waitingFor: [],
    troubles: [],
    interfaces: [],
    absentInterfaces: [],
    interfaceNotes: [],
    unmanagedInterfaces: { names: [], action: 'allow' },
    forwardedTraffic: 'not filtered',
    otherChains: [],
    publishedPorts: [],
    missingFeatures: [],
    revokedFlows: { remembered: 0, leftOut: 0, trouble: null },
    changesApplied: 1,
    driftsMended: 0,
  };
}

function textsOf(text: string): PolicyTexts {
  return { instance: '*', documents: [tried], texts: { [tried]: text } };
}

/** What a daemon answers that has `text` on trial, and says `confirmed` when that is confirmed. */
function trialOf(text: string, { file = policyFile, confirmed = text } = {}): Answers {
  const files = identityOfTexts({
    documents: [file],
    texts: { [file]: existsSync(file) ? readFileSync(file, 'utf8') : '' },
  });
  return {
    'GET /v1/status': statusOf(file, true),
    'POST /v1/try': statusOf(file, true),
    'POST /v1/rollback': statusOf(file, false),
    'GET /v1/policy': { policy: textsOf(text), inForce: statusOf(file, true).inForce },
    'POST /v1/confirm': { policy: textsOf(confirmed), files, policyFile: file },
  };
}

describe('sgctl confirm', () => {
  test('does not write the file that the daemon names', async () => {
    const victim = put('crontab', CRONTAB);
    answers = trialOf('* * * * * root /tmp/evil\n', { file: victim });
    for (const args of [[], ['--yes']]) {
      const { status: exit, err } = await confirmIt(...args);
      expect({ exit, err }).toEqual({
        exit: EXIT.failed,
        err: expect.stringContaining(`enforces \`${victim}\`, and not`),
      });
    }
    expect(readFileSync(victim, 'utf8')).toBe(CRONTAB);
    expect(calls).not.toContain('POST /v1/confirm');
  });

  test('does not write over what is no policy, even where it is told to', async () => {
    const victim = put('crontab', CRONTAB);
    answers = trialOf(FORGED, { file: victim });
    const { out } = await run(confirm, '--policy', victim, '--yes');
    expect(out).toContain(`${victim} changes, but NOT saved to it: it is not a valid policy now`);
    expect(readFileSync(victim, 'utf8')).toBe(CRONTAB);
  });

  test.each([
    ['no policy', '* * * * * root /tmp/evil\n'],
    ['a policy with mistakes', 'version: 1\nsecurityGroups: { web: { inbound: [{ source: nowhere }] } }\n'],
    ['a policy of another host', FORGED.replace('"*"', 'some-other-host')],
  ])('does not write %s', async (_, text) => {
    answers = trialOf(text);
    const { status: exit, err } = await confirmIt('--yes');
    expect({ exit, err }).toEqual({ exit: EXIT.failed, err: expect.stringContaining('not valid for this host') });
    expect(readFileSync(policyFile, 'utf8')).toBe(OLD);
    expect(calls).not.toContain('POST /v1/confirm');
  });

  test('writes a policy that sgctl did not submit only with a yes, and shows it', async () => {
    answers = trialOf(FORGED);
    const refused = await confirmIt();
    expect(refused).toMatchObject({ status: EXIT.failed, out: '' });
    expect(refused.err).toContain('not confirmed, and nothing is written');
    expect(refused.err).toMatch(/^- .*ports: 8000.*\n\+ .*ports: 31337/m);
    expect(refused.err).toMatch(/newly allowed, inbound on eth0\n {2}tcp 31337 from any/);
    expect(readFileSync(policyFile, 'utf8')).toBe(OLD);
    expect(calls).not.toContain('POST /v1/confirm');
    expect(await confirmIt('--yes')).toMatchObject({
      status: EXIT.success,
      out: `confirmed, and saved to ${policyFile}\n`,
    });
    expect(readFileSync(policyFile, 'utf8')).toBe(FORGED);
  });

  test('writes what sgctl submitted without a question, once', async () => {
    answers = { ...trialOf(NEW), 'GET /v1/status': statusOf(policyFile, false) };
    expect(await tryIt()).toMatchObject({ status: EXIT.success });
    answers = trialOf(NEW);
    chmodSync(policyFile, 0o640);
    expect(await confirmIt()).toMatchObject({ status: EXIT.success, err: '' });
    expect(readFileSync(policyFile, 'utf8')).toBe(NEW);
    expect(statSync(policyFile).mode & 0o7777).toBe(0o640);
    expect(existsSync(join(directory, 'etc/.policy.yaml.tried'))).toBe(false);
    put('etc/policy.yaml', OLD);
    expect((await confirmIt()).status).toBe(EXIT.failed);
    expect(readFileSync(policyFile, 'utf8')).toBe(OLD);
  });

  test.each<[string, (note: string) => void]>([
    ['by a user who could have written it', (note) => chmodSync(note, 0o666)],
    ['that is no note', (note) => writeFileSync(note, 'submitted!\n')],
    [
      'whose time is up',
      (note) => writeFileSync(note, readFileSync(note, 'utf8').replace(/"uptimeSeconds":[0-9.]+/, '"uptimeSeconds":1')),
    ],
    [
      'of another boot',
      (note) => writeFileSync(note, readFileSync(note, 'utf8').replace(/"bootId":"[^"]*"/, '"bootId":"x"')),
    ],
    ['that is gone', (note) => rmSync(note)],
    [
      'that a symlink leads to',
      (note) => {
        writeFileSync(join(directory, 'elsewhere'), readFileSync(note));
        chmodSync(join(directory, 'elsewhere'), 0o666);
        rmSync(note);
        symlinkSync(join(directory, 'elsewhere'), note);
      },
    ],
  ])('believes no note %s', async (_, spoil) => {
    answers = { ...trialOf(NEW), 'GET /v1/status': statusOf(policyFile, false) };
    await tryIt();
    spoil(join(directory, 'etc/.policy.yaml.tried'));
    answers = trialOf(NEW);
    expect(await confirmIt()).toMatchObject({
      status: EXIT.failed,
      err: expect.stringContaining('not confirmed, and nothing is written') as string,
    });
    expect(readFileSync(policyFile, 'utf8')).toBe(OLD);
  });

  test('does not write what the daemon says last, where that is not what was shown', async () => {
    answers = trialOf(NEW, { confirmed: FORGED });
    const { out } = await confirmIt('--yes');
    expect(out).toContain('but NOT saved to it: the daemon reports that it keeps another policy');
    expect(readFileSync(policyFile, 'utf8')).toBe(OLD);
  });

  test.runIf(process.geteuid?.() === 0)('does not write where a user could lead it elsewhere', async () => {
    answers = trialOf(NEW);
    chownSync(join(directory, 'etc'), 12_345, 0);
    const { out } = await confirmIt('--yes');
    expect(out).toContain(`but NOT saved to it: \`${join(directory, 'etc')}\` belongs to user 12345`);
    expect(readFileSync(policyFile, 'utf8')).toBe(OLD);
  });

  test('makes a policy file that is missing', async () => {
    rmSync(policyFile);
    answers = trialOf(NEW);
    expect(await confirmIt('--yes')).toMatchObject({ status: EXIT.success });
    expect(readFileSync(policyFile, 'utf8')).toBe(NEW);
    expect(statSync(policyFile).mode & 0o7777).toBe(0o644);
  });
});

describe('sgctl try', () => {
  test('does not begin where the daemon enforces another policy file', async () => {
    answers = { ...trialOf(NEW, { file: '/etc/crontab' }), 'GET /v1/status': statusOf('/etc/crontab', false) };
    const { status: exit, err } = await tryIt();
    expect({ exit, err }).toEqual({ exit: EXIT.failed, err: expect.stringContaining('enforces `/etc/crontab`') });
    expect(calls).not.toContain('POST /v1/try');
  });

  test.each([
    ['another text', FORGED, {}],
    ['another file', NEW, { policyFile: '/etc/crontab' }],
  ])(
    'confirmed by --check, writes its own text to its own file, whatever the daemon says: %s',
    async (_, text, more) => {
      answers = {
        ...trialOf(NEW),
        'GET /v1/status': statusOf(policyFile, false),
        'POST /v1/confirm': { policy: textsOf(text), files: '', policyFile, ...more },
      };
      const { out } = await tryIt('--check', 'true');
      expect(readFileSync(policyFile, 'utf8')).toBe(text === NEW ? NEW : OLD);
      expect(out).toContain(text === NEW ? `confirmed, and saved to ${policyFile}` : 'it keeps another policy');
    },
  );

  test('forgets what it submitted when it goes back', async () => {
    answers = { ...trialOf(NEW), 'GET /v1/status': statusOf(policyFile, false) };
    expect(await tryIt('--check', 'false')).toMatchObject({ status: EXIT.no });
    answers = trialOf(NEW);
    expect(await confirmIt()).toMatchObject({ status: EXIT.failed });
    expect(readFileSync(policyFile, 'utf8')).toBe(OLD);
  });
});

describe('an invalid answer', () => {
  const COMMANDS: readonly (readonly [string, Command, readonly string[]])[] = [
    ['status', status, []],
    ['history', history, []],
    ['history 1', history, ['1']],
    ['log', log, []],
    ['log -f', log, ['-f']],
    ['stats', stats, []],
    ['rollback', rollback, []],
    ['confirm', confirm, []],
    ['try', tryOut, []],
  ];
  const BAD: readonly (readonly [string, (response: ServerResponse) => void])[] = [
    ['an empty object', (response) => response.end('{}\n')],
    ['no JSON', (response) => response.end('what?\n')],
    [
      'of other types',
      (response) => response.end('{"versions":1,"entries":{},"stats":[],"policyFile":7,"number":"x"}\n'),
    ],
  ];

  test.each(
    COMMANDS.flatMap(([name, command, args]) => BAD.map(([what, answer]) => ({ name, command, args, what, answer }))),
  )('ends $name with a message: $what', async ({ command, args, answer }) => {
    answers = new Proxy({}, { get: () => answer });
    const line = command === tryOut ? [tried, '--policy', policyFile] : args;
    const { status: exit, out, err } = await run(command, ...line);
    expect({ exit, out }).toEqual({ exit: EXIT.failed, out: '' });
    expect(err).toContain('is invalid');
  });

  test('that never ends a line is not kept', async () => {
    answers = {
      'GET /v1/log/follow': (response) => {
        const more = (): void => {
          while (!response.destroyed && response.write('x'.repeat(64 * 1024)));
          if (!response.destroyed) response.once('drain', more);
        };
        more();
      },
    };
    expect(await run(log, '-f')).toMatchObject({
      status: EXIT.failed,
      err: expect.stringContaining('a line without an end') as string,
    });
  });
});
