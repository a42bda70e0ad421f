import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { sendInbound } from './harness/probe.ts';
import { createWorld, type ExecResult } from './harness/world.ts';
import type { DaemonProcess } from './harness-daemon/daemon.ts';
import { PROGRAMS } from './harness-daemon/programs.ts';
import { replaceFile, type Site, useSite } from './harness-daemon/site.ts';
import { until } from './harness-daemon/until.ts';

const TERMINAL = fileURLToPath(new URL('harness-daemon/terminal.py', import.meta.url));

const OLD = 8000;
const NEW = 8001;
const OTHER = 8002;

function policy(port: number): string {
  return `version: 1
securityGroups:
  web:
    inbound:
      - { protocol: tcp, ports: ${port}, source: any }
    outbound:
      - { destination: any }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

let site: Site;
let tried: string;

useSite((made) => {
  site = made;
});

beforeEach(() => {
  tried = join(site.directory, 'etc/tried.yaml');
  writeFileSync(tried, policy(NEW));
  replaceFile(site.policyFile, policy(OLD));
});

let identity = 0;

/** Which of the three ports new connections reach: the one of the old policy, the tried one's, the one of a third. */
async function open(world = site.world): Promise<readonly number[]> {
  const sent = [OLD, NEW, OTHER].map((destinationPort) => {
    identity += 1;
    const ends = { source: '203.0.113.9', destination: '10.77.0.1', sourcePort: 1_024 + identity };
    return { ...ends, protocol: 6, destinationPort, identity };
  });
  const arrived = await sendInbound(world, 'eth0', sent);
  return sent.filter((one) => arrived.has(one.identity)).map(({ destinationPort }) => destinationPort);
}

async function opens(port: number, within = 4_000): Promise<void> {
  await until(`${port} alone is open`, async () => (await open()).join() === String(port), { within });
}

function tryIt(...args: readonly string[]): Promise<ExecResult> {
  return site.sgctl('try', tried, ...args);
}

/** Starts sgctl, and goes on while it runs. */
function startTry(...args: readonly string[]): ChildProcess {
  const { namespace } = site.world.host;
  const places = ['--runtime-dir', site.runtimeDirectory, '--policy', site.policyFile];
  const argv = [PROGRAMS.sgctl, 'try', tried, ...places, ...args];
  return spawn('ip', ['netns', 'exec', namespace, process.execPath, ...argv], { stdio: 'ignore' });
}

function lastGood(): string {
  return readFileSync(join(site.stateDirectory, 'last-good.nft'), 'utf8');
}

describe('sgctl try', () => {
  test('brings a policy into force and goes back when its time is up; no last good script says it meanwhile', async () => {
    const daemon = await site.start();
    const { stdout, stderr, exitCode } = await tryIt('--timeout', '2');
    expect({ stdout, exitCode }).toEqual({
      stdout: `to keep it: sgctl confirm --policy ${site.policyFile}; to end it now: sgctl rollback`,
      exitCode: 0,
    });
    expect(stderr).toContain(`${tried}: active for 2 s; then the policy before returns`);
    expect(await open()).toEqual([NEW]);
    expect(lastGood()).toContain(String(OLD));
    expect(lastGood()).not.toContain(String(NEW));
    expect((await site.sgctl('status')).stdout).toMatch(/^ON TRIAL +.*tried.yaml, [12] s left/m);
    const { trial, inForce } = await daemon.status();
    expect(trial).toMatchObject({ file: tried });
    expect(inForce).not.toBeNull();
    await daemon.until('the trial is over', (status) => status.trial === null);
    expect(await open()).toEqual([OLD]);
    expect((await daemon.status()).pinned).toBeNull();
    expect((await site.sgctl('confirm')).exitCode).toBe(3);
  });

  test('keeps it once it is confirmed, in the policy file too, with its mode', async () => {
    const daemon = await site.start();
    await tryIt('--timeout', '3');
    const confirmed = await site.sgctl('confirm');
    expect(confirmed.stdout).toBe(`confirmed, and saved to ${site.policyFile}`);
    expect(readFileSync(site.policyFile, 'utf8')).toBe(policy(NEW));
    await daemon.until('the file is in force', (status) => status.pinned === null && status.trial === null);
    await wait(3_500);
    expect(await open()).toEqual([NEW]);
    expect(lastGood()).toContain(String(NEW));
    const versions = JSON.parse((await site.sgctl('history', '--json')).stdout) as readonly object[];
    expect(versions).toMatchObject([
      {
        number: 2,
        origin: 'try',
        inForce: true,
        summary: [expect.stringContaining('newly'), expect.any(String), expect.any(String), expect.any(String)],
      },
      { number: 1, origin: 'file', inForce: false, summary: null },
    ]);
  });

  test.for([
    ['succeeds', 'true', [NEW], 0],
    ['fails', 'exit 7', [OLD], 1],
    ['does not end', 'sleep 30', [OLD], 1],
  ] as const)('--check keeps it only if the command %s', async ([, command, ports, exitCode]) => {
    await site.start();
    const began = performance.now();
    const result = await tryIt('--timeout', '2', '--check', command);
    expect(result.exitCode).toBe(exitCode);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await open()).toEqual(ports);
  });

  test.each<[string, string, readonly number[], number]>([
    ['yes', 'y\n', [NEW], 0],
    ['no', 'n\n', [OLD], 1],
    ['Ctrl-C', '\u0003', [OLD], 1],
    // The version before the one that was in force is not gone back to: the daemon was faster by a moment.
    ['nothing', '', [OLD], 1],
  ])('on a terminal asks, and does as is answered: %s', async (_, answer, ports, status) => {
    replaceFile(site.policyFile, policy(OTHER));
    await site.start();
    replaceFile(site.policyFile, policy(OLD));
    await opens(OLD);
    const argv = [
      process.execPath,
      PROGRAMS.sgctl,
      'try',
      tried,
      '--timeout',
      '2',
      '--runtime-dir',
      site.runtimeDirectory,
      '--policy',
      site.policyFile,
    ];
    const told = JSON.stringify(['[y/N]', answer, 8, ...argv]);
    const { stdout } = await site.world.exec(site.world.host, ['python3', '-B', TERMINAL, told]);
    const result = JSON.parse(stdout) as { readonly printed: string; readonly status: number };
    expect(result.printed).toContain('Keep it? Try a new connection first. [y/N]');
    expect(result.status).toBe(status);
    expect(await open()).toEqual(ports);
  });

  test('sgctl killed: goes back all the same', async () => {
    await site.start();
    const child = startTry('--timeout', '2', '--check', 'sleep 30');
    await opens(NEW);
    child.kill('SIGKILL');
    expect(await open()).toEqual([NEW]);
    await opens(OLD);
  });

  test('the daemon killed and started again: the trial goes on, and goes back in time', async () => {
    const daemon = await site.start();
    await tryIt('--timeout', '4');
    const before = await site.table();
    await daemon.stop('SIGKILL');
    expect(await open()).toEqual([NEW]);
    const next = await site.start({ becomes: 'held' });
    expect((await next.status()).trial).toMatchObject({ file: tried });
    expect(await open()).toEqual([NEW]);
    expect(await site.table()).toBe(before);
    await opens(OLD, 6_000);
  });

  test('the daemon killed, and started again when the time is up: what was before is back', async () => {
    const daemon = await site.start();
    await tryIt('--timeout', '1');
    await daemon.stop('SIGKILL');
    await wait(1_200);
    expect(await open()).toEqual([NEW]);
    const next = await site.start();
    expect(await open()).toEqual([OLD]);
    expect(await next.status()).toMatchObject({ trial: null, pinned: null });
  });

  test('the daemon ended in order: goes back before it ends, for nobody would do it later', async () => {
    const daemon = await site.start();
    await tryIt('--timeout', '60');
    expect(await open()).toEqual([NEW]);
    await daemon.stop();
    expect(await open()).toEqual([OLD]);
    await site.start();
    expect(await open()).toEqual([OLD]);
  });

  test('the machine restarted: what plain nft loads is what was before, and so is what the daemon then enforces', async () => {
    const daemon = await site.start();
    await tryIt('--timeout', '600');
    await daemon.stop('SIGKILL');
    const held = join(site.stateDirectory, 'held-policy.json');
    const saved = readFileSync(held, 'utf8');
    const restarted = await createWorld({ interfaces: [{ name: 'eth0' }] });
    try {
      await restarted.exec(restarted.host, ['nft', '-f', join(site.stateDirectory, 'last-good.nft')]);
      expect(await open(restarted)).toEqual([OLD]);
    } finally {
      await restarted.destroy();
    }
    // The kernel gives each start an id of its own, and this machine stays up.
    writeFileSync(held, saved.replace(/"bootId":"[^"]*"/, '"bootId":"of-another-start"'));
    await site.world.nft('delete table inet secgroupd\n');
    await site.world.exec(site.world.host, ['nft', '-f', join(site.stateDirectory, 'last-good.nft')]);
    const next = await site.start();
    expect(await open()).toEqual([OLD]);
    expect(await next.status()).toMatchObject({ trial: null, pinned: null });
  });

  test('the daemon killed at any moment of it: what was before is back in time', async () => {
    for (let milliseconds = 0; milliseconds < 240; milliseconds += 20) {
      replaceFile(site.policyFile, policy(OLD));
      const daemon = await site.start();
      await opens(OLD);
      const child = startTry('--timeout', '1');
      const ended = new Promise((resolve) => child.once('exit', resolve));
      // The program takes about so long to start.
      await wait(150 + milliseconds);
      await daemon.stop('SIGKILL');
      await ended;
      const next = site.spawn();
      await next.until('it has begun', ({ state }) => state !== 'starting');
      await opens(OLD, 3_000);
      await next.until('no trial is left', ({ trial, state }) => trial === null && state === 'enforced');
      await next.stop('SIGKILL');
    }
  });

  test('changes nothing where it could not go back', async () => {
    const refused = async (why: RegExp): Promise<void> => {
      const { exitCode, stderr } = await tryIt();
      expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringMatching(why) });
    };
    await refused(/no daemon serves/);
    writeFileSync(site.policyFile, 'version: 2\n');
    const daemon = await site.start({ becomes: 'refused' });
    await refused(/nothing is in force that could be gone back to/);
    replaceFile(site.policyFile, policy(OLD));
    await opens(OLD);
    const held = join(site.stateDirectory, 'held-policy.json');
    mkdirSync(join(held, 'in-the-way'), { recursive: true });
    await refused(/nothing changes, for a restart could not go back: .*held-policy.json/);
    expect(await open()).toEqual([OLD]);
    rmSync(held, { recursive: true });
    await tryIt('--timeout', '60');
    await refused(/another policy is on trial/);
    expect((await site.sgctl('rollback')).stdout).toBe(`the trial has ended: ${site.policyFile} is active`);
    expect(await open()).toEqual([OLD]);
    expect((await daemon.status()).state).toBe('enforced');
  });

  test('a policy with mistakes, or of another host, is not tried', async () => {
    await site.start();
    writeFileSync(tried, 'version: 1\nsecurityGroups: { web: { inbound: [{ source: nowhere }] } }\n');
    expect(await tryIt()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('tried.yaml:2:') });
    writeFileSync(tried, policy(NEW).replace('  host:', '  another:'));
    expect(await tryIt()).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('no instance `host`') });
    expect(await open()).toEqual([OLD]);
    expect((await site.sgctl('status', '--json')).stdout).toContain('"trial": null');
  });

  test('the policy file saved meanwhile waits, is not overwritten, and is in force when the trial ends', async () => {
    const daemon = await site.start();
    await tryIt('--timeout', '3');
    replaceFile(site.policyFile, policy(OTHER));
    await wait(300);
    expect(await open()).toEqual([NEW]);
    expect(await site.sgctl('confirm')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('the policy file was changed while another policy was tried'),
    });
    expect(readFileSync(site.policyFile, 'utf8')).toBe(policy(OTHER));
    await opens(OTHER, 6_000);
    const ended = await daemon.until('the trial is over', ({ trial }) => trial === null);
    expect(ended).toMatchObject({ pinned: null, state: 'enforced' });
  });

  test('a policy file full of mistakes meanwhile: the trial ends in what was before', async () => {
    const daemon = await site.start();
    await tryIt('--timeout', '2');
    replaceFile(site.policyFile, 'version: 2\n');
    await opens(OLD, 6_000);
    expect(await daemon.until('the trial is over', ({ trial }) => trial === null)).toMatchObject({ state: 'refused' });
    await daemon.stop('SIGKILL');
    await site.start({ becomes: 'refused' });
    expect(await open()).toEqual([OLD]);
  });
});

describe('sgctl try of a file that stands in the place of the policy file', () => {
  const OFFICE = 'addressGroups: { office: { file: lists/office.txt } }\n';
  let dropIn: string;
  let elsewhere: string;

  /** A policy whose group `more` is a drop-in's, and whose list lies beside the policy file. */
  const parted = (port: number): string =>
    `${policy(port).replace('source: any', 'source: { addressGroup: office }').replace('[web]', '[web, more]')}${OFFICE}`;

  const more = (port: number): string =>
    `securityGroups: { more: { inbound: [{ protocol: tcp, ports: ${port}, source: any }] } }\n`;

  beforeEach(() => {
    mkdirSync(site.dropIns);
    mkdirSync(join(site.directory, 'etc/lists'));
    writeFileSync(join(site.directory, 'etc/lists/office.txt'), '203.0.113.0/24\n');
    dropIn = join(site.dropIns, '10-more.yaml');
    writeFileSync(dropIn, more(OTHER));
    replaceFile(site.policyFile, parted(OLD));
    elsewhere = join(site.directory, 'new.yaml');
    writeFileSync(elsewhere, parted(NEW));
  });

  test('takes the drop-ins and lists there along, says so, and confirmed writes the policy file alone', async () => {
    const daemon = await site.start();
    const { stderr, exitCode } = await site.sgctl('try', elsewhere, '--timeout', '60');
    const list = join(site.directory, 'etc/lists/office.txt');
    expect([exitCode, stderr]).toEqual([
      0,
      `${elsewhere}, with ${dropIn}, ${list}, active for 60 s; then the policy before returns, unless you confirm`,
    ]);
    expect(await open()).toEqual([NEW, OTHER]);
    expect((await daemon.status()).trial).toMatchObject({ file: elsewhere });
    const confirmed = await site.sgctl('confirm');
    expect([confirmed.stdout, confirmed.stderr]).toEqual([`confirmed, and saved to ${site.policyFile}`, '']);
    expect(readFileSync(site.policyFile, 'utf8')).toBe(parted(NEW));
    expect(readFileSync(dropIn, 'utf8')).toBe(more(OTHER));
    await daemon.until('the file is in force', ({ pinned, state }) => pinned === null && state === 'enforced');
    expect(await open()).toEqual([NEW, OTHER]);
  });

  test('from a pipe, and the trial goes on and ends as any other when the daemon is killed', async () => {
    const daemon = await site.start();
    const places = `--runtime-dir ${site.runtimeDirectory} --policy ${site.policyFile}`;
    const line = `cat ${elsewhere} | ${process.execPath} ${PROGRAMS.sgctl} try - ${places} --timeout 5 --json`;
    const { stdout } = await site.world.exec(site.world.host, ['sh', '-c', line]);
    const answer = { confirmed: false, trial: { file: '<stdin>' }, with: [dropIn, expect.any(String)] };
    expect(JSON.parse(stdout)).toMatchObject(answer);
    await daemon.stop('SIGKILL');
    const next = await site.start({ becomes: 'held' });
    expect((await next.status()).trial).toMatchObject({ file: '<stdin>' });
    expect(await open()).toEqual([NEW, OTHER]);
    await next.until('the trial is over', ({ trial }) => trial === null, 8_000);
    expect(await open()).toEqual([OLD, OTHER]);
  });

  test('alone is without them, and is not written where they are', async () => {
    await site.start();
    const lacking = await site.sgctl('try', elsewhere, '--alone');
    expect([lacking.exitCode, lacking.stderr]).toEqual([1, expect.stringContaining('more')]);
    writeFileSync(elsewhere, policy(NEW));
    expect((await site.sgctl('try', elsewhere, '--alone')).stderr).toContain(`${elsewhere}: active`);
    expect(await open()).toEqual([NEW]);
    expect((await site.sgctl('confirm')).stdout).toContain(
      'but NOT saved to it: its drop-ins and lists are not those of the file that was tried; copy all of them: ',
    );
    expect(readFileSync(site.policyFile, 'utf8')).toBe(parted(OLD));
  });

  test('a drop-in that is changed meanwhile is told, and nothing is written', async () => {
    const daemon = await site.start();
    await site.sgctl('try', elsewhere, '--timeout', '4');
    writeFileSync(dropIn, more(9_999));
    await wait(500);
    expect(await open()).toEqual([NEW, OTHER]);
    const { exitCode, stderr } = await site.sgctl('confirm');
    expect([exitCode, stderr]).toEqual([
      3,
      expect.stringMatching(
        /changed since it was tried: policy.d\/10-more.yaml\n.*changed while another policy was tried/,
      ),
    ]);
    expect(readFileSync(site.policyFile, 'utf8')).toBe(parted(OLD));
    await daemon.until('the trial is over', ({ trial, state }) => trial === null && state === 'enforced', 10_000);
    expect(await open()).toEqual([OLD]);
  });

  test('lists beside the file are tried, and so are drop-ins of its own', async () => {
    await site.start();
    mkdirSync(join(site.directory, 'lists'));
    writeFileSync(join(site.directory, 'lists/office.txt'), '192.0.2.0/24\n');
    await site.sgctl('try', elsewhere);
    expect(await open()).toEqual([OTHER]);
    await site.sgctl('rollback');
    mkdirSync(join(site.directory, 'new.d'));
    writeFileSync(join(site.directory, 'new.d/own.yaml'), more(NEW));
    await site.sgctl('try', elsewhere);
    expect(await open()).toEqual([NEW]);
    for (const name of ['lists', 'new.d']) rmSync(join(site.directory, name), { recursive: true });
  });
});

describe('sgctl rollback and history', () => {
  async function save(daemon: DaemonProcess, port: number): Promise<void> {
    replaceFile(site.policyFile, policy(port));
    await opens(port);
    await daemon.until('it is enforced', ({ state }) => state === 'enforced');
  }

  test('go back step by step, until the file changes', async () => {
    const daemon = await site.start();
    await save(daemon, NEW);
    await save(daemon, OTHER);
    expect((await site.sgctl('rollback')).stdout.split('\n')).toEqual([
      `version 2 is active, until ${site.policyFile} changes or the daemon is reloaded`,
      'the file still has the newer rules; to keep version 2: sgctl history 2 prints what to put into it',
    ]);
    expect(await open()).toEqual([NEW]);
    expect((await daemon.status()).pinned).toMatchObject({ origin: 'rollback', version: 2 });
    expect((await daemon.status()).inForce).toMatchObject({ version: 4 });
    const told = (await site.sgctl('status')).stdout;
    expect(told).toMatch(/^policy .*: valid, but NOT active: version 2, after `sgctl rollback`, is$/m);
    expect(told).toMatch(
      /^in force +version 4 \(2 again\), since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:UTC|[+-]\d\d:\d\d) \(/m,
    );
    expect(told).toMatch(/^pinned +until that file changes or the daemon is reloaded$/m);
    expect(readFileSync(site.policyFile, 'utf8')).toBe(policy(OTHER));
    expect(lastGood()).toContain(String(NEW));
    await daemon.stop('SIGKILL');
    const next = await site.start({ becomes: 'held' });
    expect(await open()).toEqual([NEW]);
    await site.sgctl('rollback');
    expect(await open()).toEqual([OLD]);
    const { stdout } = await site.sgctl('history');
    expect(
      stdout
        .match(/^ +\d+ .*$/gm)
        ?.map((row) => row.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?:UTC|[+-]\d\d:\d\d)/, 'TIME').trim()),
    ).toEqual([
      '5  TIME  rolled back to version 1, active',
      '4  TIME  rolled back to version 2',
      '3  TIME  the policy file was saved',
      '2  TIME  the policy file was saved',
      '1  TIME  the policy file was saved',
    ]);
    expect(stdout).toContain(`newly denied, inbound on eth0: tcp ${OTHER} from any IPv4 address`);
    expect((await site.sgctl('history', '2')).stdout).toBe(policy(NEW).trimEnd());
    expect((await site.sgctl('rollback')).stderr).toContain('there is no earlier policy to go back to');
    expect((await site.sgctl('rollback', '99')).stderr).toContain('there is no version 99');
    expect((await site.sgctl('rollback', 'x')).exitCode).toBe(2);
    await site.sgctl('rollback', '3');
    expect(await open()).toEqual([OTHER]);
    expect((await next.status()).pinned).toBeNull();
  });

  test('the history tells a change of lists from one of the file, and says where the same traffic passes', async () => {
    const list = join(site.directory, 'etc/banned.txt');
    const withList = (log: boolean): string =>
      policy(OLD)
        .replace(
          '    inbound:\n',
          `    inbound:\n      - { action: deny, source: { addressGroup: banned }, log: ${log} }\n`,
        )
        .replace('instances:', 'addressGroups: { banned: { file: banned.txt } }\ninstances:');
    writeFileSync(list, '192.0.2.1\n');
    replaceFile(site.policyFile, withList(false));
    const daemon = await site.start();
    const change = async (file: string, text: string): Promise<void> => {
      const { changesApplied } = await daemon.status();
      replaceFile(file, text);
      await until('the change is in force', async () => (await daemon.status()).changesApplied > changesApplied);
    };
    await change(site.policyFile, withList(true));
    const newest = async (): Promise<string> => (await site.sgctl('history')).stdout.split(/\n(?= +\d+ )/)[0] ?? '';
    expect(await newest()).toMatch(/the policy file was saved, active\n +the same traffic passes$/);
    await change(list, '192.0.2.2\n');
    expect(await newest()).toMatch(/the policy file was saved, and then its lists, active\n +newly allowed/);
  });

  test.for(['change', 'reload'] as const)('a pinned version gives way to a %s of the file', async (how) => {
    const daemon = await site.start();
    await save(daemon, NEW);
    await site.sgctl('rollback');
    await opens(OLD);
    replaceFile(site.policyFile, 'version: 2\n');
    await daemon.until('the file is refused', ({ state }) => state === 'refused');
    expect(await open()).toEqual([OLD]);
    replaceFile(site.policyFile, policy(NEW));
    await daemon.until('the file is good again', ({ state }) => state === 'held');
    expect(await open()).toEqual([OLD]);
    if (how === 'reload') await daemon.reload();
    else replaceFile(site.policyFile, `${policy(NEW)}# more\n`);
    await opens(NEW);
    await daemon.until('nothing is pinned', ({ pinned }) => pinned === null);
  });
});
