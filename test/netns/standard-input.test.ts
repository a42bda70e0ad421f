import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildPrograms, PROGRAMS } from './harness-daemon/programs.ts';

const POLICY = `version: 1
addressGroups: { office: { file: lists/office.txt } }
securityGroups: { web: { inbound: [{ protocol: tcp, ports: 22, source: { addressGroup: office } }] } }
instances: { host: { interfaces: { eth0: { securityGroups: [web] } } } }
`;

let directory: string;

beforeAll(() => {
  buildPrograms();
  directory = mkdtempSync(join(tmpdir(), 'secgroupd-stdin-'));
  mkdirSync(join(directory, 'etc/lists'), { recursive: true });
  writeFileSync(join(directory, 'etc/lists/office.txt'), '198.51.100.0/24\n');
  writeFileSync(join(directory, 'policy'), POLICY);
  writeFileSync(join(directory, 'mistaken'), POLICY.replace('22', '"22x"'));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a line of bash in which `sgctl` is the program. */
function bash(line: string): { readonly status: number | null; readonly out: string; readonly err: string } {
  const script = `sgctl() { "${process.execPath}" "${PROGRAMS.sgctl}" "$@"; }; ${line}`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
    cwd: directory,
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { status, out: stdout, err: stderr };
}

test.each([
  ['a pipe', 'cat policy | sgctl check - --as etc/policy.yaml', '<stdin>'],
  ['a file', 'sgctl check - --as etc/policy.yaml <policy', '<stdin>'],
  ['by another name', 'cat policy | sgctl check /dev/stdin --as etc/policy.yaml', '/dev/stdin'],
  ['from where its lists are', 'cd etc && cat ../policy | sgctl check -', '<stdin>'],
  ['a substituted process', 'sgctl check <(sleep 0.2; cat policy) --as etc/policy.yaml', '/dev/fd/63'],
])('a policy is read from standard input: %s', (_, line, name) => {
  expect(bash(line)).toMatchObject({ status: 0, out: expect.stringContaining(`${name}: valid`) as string, err: '' });
});

test.each([
  ['a mistake', 'sgctl check - --as etc/policy.yaml <mistaken', /^<stdin>:3:\d+: error/],
  ['lists that are elsewhere', 'sgctl check - <policy', /office.txt` does not exist/],
  ['nothing', 'sgctl check - </dev/null', /^<stdin>:1:1: error/],
  ['a process that ends without a word', 'sgctl check <(true)', /^\/dev\/fd\/63:1:1: error/],
  ['what never ends', 'yes | sgctl check -', /`<stdin>` is bigger than 16777216 bytes/],
  ['what never ends, by a name', 'sgctl check <(yes)', /`\/dev\/fd\/63` is bigger than 16777216 bytes/],
  ['a device', 'sgctl check /dev/zero', /is a device, not a regular file/],
  ['a FIFO for what is enforced', 'mkfifo -m 600 fifo; sgctl apply fifo --trust any', /is a FIFO, not a regular file/],
])('a policy is refused, with its reason: %s', (_, line, said) => {
  const { status, err } = bash(line);
  expect([status, err]).toEqual([1, expect.stringMatching(said)]);
});
