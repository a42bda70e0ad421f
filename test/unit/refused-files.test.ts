import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { streamsOnto } from '#cli/framework/streams.ts';
import { runSgctl } from '#cli/run-sgctl.ts';

const POLICY = `version: 1
addressGroups:
  office: { file: office.txt }
securityGroups:
  web: { inbound: [{ protocol: tcp, ports: 22, source: { addressGroup: office } }] }
instances:
  "*": { interfaces: { eth0: { securityGroups: [web] } } }
`;

let directory: string;
const at = (name: string): string => join(directory, name);

async function sgctl(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const output = (name: 'out' | 'err') => ({ write: (text: string) => (said[name] += text), isTTY: false });
  const status = await runSgctl(args, streamsOnto({ out: output('out'), err: output('err') }, false));
  return { status, ...said };
}

async function writeWith(name: string, text: string, mode: number): Promise<void> {
  await writeFile(at(name), text);
  await chmod(at(name), mode);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'refused-files-'));
  await chmod(directory, 0o755);
  await writeWith('office.txt', '192.0.2.0/24\n', 0o644);
  await writeWith('own.yaml', POLICY, 0o644);
  await writeWith('group.yaml', POLICY, 0o664);
  await writeWith('world.yaml', POLICY, 0o646);
  await writeWith('bad.yaml', POLICY.replace('ports', 'prots'), 0o664);
  await writeWith('list.yaml', POLICY.replaceAll('office.txt', 'shared.txt'), 0o664);
  await writeWith('shared.txt', '192.0.2.0/24\n', 0o666);
  await mkdir(at('open'));
  await chmod(at('open'), 0o777);
  await writeWith('open/office.txt', '192.0.2.0/24\n', 0o644);
});

afterAll(() => rm(directory, { recursive: true }));

describe('files that the daemon refuses', () => {
  test.each(['check', 'lint'])(
    '%s warns of a file that others can write, and its exit status stays',
    async (command) => {
      const { status, err } = await sgctl(command, at('group.yaml'));
      expect(err).toContain(
        `warning: \`${at('group.yaml')}\` can be written by others than its owner (mode 664); the daemon refuses such a file\nhelp: chmod go-w ${at('group.yaml')}\n`,
      );
      expect(status).toBe(0);
      expect((await sgctl(command, at('world.yaml'))).err).toContain('(mode 646); the daemon refuses such a file');
    },
  );

  test('plan does too', async () => {
    const { status, err } = await sgctl('plan', at('group.yaml'), '--against', at('own.yaml'));
    expect(err).toContain('(mode 664); the daemon refuses such a file');
    expect(status).toBe(0);
    expect((await sgctl('plan', at('own.yaml'), '--against', at('own.yaml'))).err).not.toContain('refuses');
  });

  test.each(['check', 'lint'])('%s says nothing of a file that its owner alone can write', async (command) => {
    expect((await sgctl(command, at('own.yaml'))).err).not.toContain('refuses');
  });

  test('scripts read the same JSON as of another file', async () => {
    const { out, err } = await sgctl('check', '--json', at('group.yaml'));
    expect(JSON.parse(out)).toEqual([]);
    expect(err).toContain('refuses such a file');
  });

  test('a policy with mistakes is warned of too', async () => {
    const { status, err } = await sgctl('check', at('bad.yaml'));
    expect(err).toContain('refuses such a file');
    expect(status).toBe(1);
  });

  test('a list counts like the file that names it', async () => {
    const { err } = await sgctl('check', at('list.yaml'));
    expect(err).toContain(
      `(mode 664), and so can 1 more of the policy's files; the daemon refuses such a file\nhelp: chmod go-w ${at('list.yaml')} ${at('shared.txt')}\n`,
    );
  });

  test.runIf(process.getuid?.() === 0)('who owns the file does not matter', async () => {
    await writeWith('theirs.yaml', POLICY, 0o644);
    execFileSync('chown', ['1234', at('theirs.yaml')]);
    expect((await sgctl('check', at('theirs.yaml'))).err).not.toContain('refuses');
  });

  test('a directory that others can write counts where --as names it', async () => {
    const { status, err } = await sgctl('check', at('own.yaml'), '--as', at('open/policy.yaml'));
    expect(err).toContain(
      `warning: \`${at('open')}\` can be written by others than its owner (mode 777); the daemon refuses a policy there\nhelp: chmod go-w ${at('open')}\n`,
    );
    expect(status).toBe(0);
    await writeWith('open/policy.yaml', POLICY, 0o644);
    expect((await sgctl('check', at('open/policy.yaml'))).err).not.toContain('refuses');
  });

  test('a FIFO is no file', async () => {
    execFileSync('mkfifo', ['-m', '666', at('fifo')]);
    const [{ status, err }] = await Promise.all([
      sgctl('check', at('fifo'), '--as', at('policy.yaml')),
      writeFile(at('fifo'), POLICY),
    ]);
    expect(err).not.toContain('refuses');
    expect(status).toBe(0);
  });
});
