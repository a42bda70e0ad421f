import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ExecResult } from './harness/world.ts';
import type { DaemonProcess } from './harness-daemon/daemon.ts';
import { PROGRAMS } from './harness-daemon/programs.ts';
import { mounting, replaceFile, type Site, useSite } from './harness-daemon/site.ts';

const POLICY = `version: 1
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 80, source: any }] }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;

/** Groups that no file of this machine knows. */
const CONTROL = 47_001;
const READING = 47_002;
const NOBODY = 65_534;

let site: Site;
let daemon: DaemonProcess;

useSite((made) => {
  site = made;
});

beforeEach(async () => {
  replaceFile(site.policyFile, POLICY);
  // Who is let in is decided at the socket: on the way there everybody may pass.
  chmodSync(site.directory, 0o755);
  const groups = join(site.directory, 'group');
  writeFileSync(groups, `root:x:0:\nsecgroupd:x:${CONTROL}:\nsecgroupd-read:x:${READING}:secgroupd\n`);
  daemon = await site.start({ wrapper: mounting(`mount --bind ${groups} /etc/group`) });
});

/** Runs sgctl as a user in these groups and no others. */
function sgctlAs(groups: readonly number[], ...args: readonly string[]): Promise<ExecResult> {
  const ids = groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join(',')];
  const who = ['setpriv', '--reuid', String(NOBODY), '--regid', String(NOBODY), ...ids, '--no-new-privs'];
  const call = [process.execPath, PROGRAMS.sgctl, ...args, '--runtime-dir', site.runtimeDirectory];
  return site.world.exec(site.world.host, [...who, ...call], { reject: false });
}

const CHANGING: readonly (readonly string[])[] = [['clear', '--yes'], ['confirm'], ['rollback']] as const;

describe('who may speak to the daemon', () => {
  test('the control group may do everything', async () => {
    expect((await sgctlAs([CONTROL], 'status')).exitCode).toBe(0);
    expect(await sgctlAs([CONTROL], 'clear', '--yes')).toMatchObject({ exitCode: 0 });
    expect(await site.table()).toBe('');
  });

  test('the reading group may look', async () => {
    for (const command of [['status'], ['stats'], ['log'], ['history']]) {
      expect(await sgctlAs([READING], ...command)).toMatchObject({ exitCode: 0 });
    }
  });

  test.each(CHANGING)('the reading group may not: %s', async (...command) => {
    const before = await site.table();
    const { exitCode, stderr } = await sgctlAs([READING], ...command);
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('permission denied') as string,
    });
    expect(await site.table()).toBe(before);
  });

  test('the reading socket changes nothing, whoever asks it', async () => {
    const before = await site.table();
    for (const path of ['clear', 'reload', 'try', 'confirm', 'rollback']) {
      const script = `const call = require('node:http').request(
        { socketPath: '${site.runtimeDirectory}/secgroupd-read.sock', method: 'POST', path: '/v1/${path}' },
        (response) => { console.log(response.statusCode); response.resume(); },
      ); call.end('{}');`;
      const { stdout } = await site.world.exec(site.world.host, [process.execPath, '-e', script]);
      expect(stdout).toBe('403');
    }
    expect(await site.table()).toBe(before);
    expect((await daemon.status()).state).toBe('enforced');
  });

  test('nor does it take more than a question holds', async () => {
    const script = `const call = require('node:http').request(
      { socketPath: '${site.runtimeDirectory}/secgroupd-read.sock', method: 'GET', path: '/v1/status' },
      (response) => { console.log(response.statusCode); process.exit(); },
    ); call.on('error', (error) => { console.log(error.code); process.exit(); }); call.end(Buffer.alloc(50e6));`;
    const { stdout } = await site.world.exec(site.world.host, [process.execPath, '-e', script]);
    expect(stdout).toMatch(/^(?:400|EPIPE|ECONNRESET)$/);
    expect((await daemon.status()).state).toBe('enforced');
  });

  test('others may nothing', async () => {
    for (const command of [['status'], ['log'], ...CHANGING]) {
      const { exitCode, stderr } = await sgctlAs([], ...command);
      expect({ exitCode, stderr }).toMatchObject({
        exitCode: 3,
        stderr: expect.stringContaining('permission denied') as string,
      });
    }
    // Nor a group of the same number plus one.
    expect((await sgctlAs([CONTROL + 10], 'status')).exitCode).toBe(3);
  });
});
