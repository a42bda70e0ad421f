import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../netns/harness-daemon/until.ts';
import { type Lab, raiseLab } from './lab.ts';

const SCENARIOS = fileURLToPath(new URL('../../vagrant/scenarios/', import.meta.url));
/** Of four hosts each tries the three others by ping and ssh, over IPv4 and IPv6. */
const TRIES = 4 * 3 * 2 * 2;

/** The rule that the tour takes the # away from. */
const TOUR = '# - { protocol: tcp, ports: 22';
const PATIENCE = { within: 20_000 };

/** Ends by itself, or with 124. */
const login = (...words: readonly string[]): readonly string[] => ['timeout', '60', 'ssh', ...words, 'uname -n'];

describe.each(['namespaces', 'containers'] as const)('a lab of %s', (kind) => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await raiseLab(kind);
  }, 300_000);
  afterAll(async () => {
    await lab?.down();
  });

  if (kind === 'containers')
    test('who reaches whom is as sgctl explain says, in every scenario; in the end the hosts have what they had', async () => {
      const before = await lab.command('policy');
      const { exitCode, stdout, stderr } = await lab.command('matrix', '--all');
      expect(stderr).toBe('');
      const scenarios = readdirSync(SCENARIOS);
      for (const name of scenarios) expect(stdout).toContain(`== ${name.replace('.yaml', '')}: `);
      expect(stdout.split('\n').at(-1)).toBe(`${scenarios.length * TRIES} tried, 0 not as explained`);
      expect(exitCode).toBe(0);
      expect(await lab.command('policy')).toEqual(before);
    });

  test('to begin with it is as drawn', async () => {
    const { stdout } = await lab.command('matrix');
    expect(stdout.replaceAll(/ +$/gm, '')).toBe(`ping IPv4/IPv6  to web      to db       to bastion  to pc
from web        .           yes/yes     no/no       yes/yes
from db         yes/yes     .           no/no       yes/yes
from bastion    yes/yes     no/no       .           yes/yes
from pc         yes/yes     no/no       yes/yes     .

ssh IPv4/IPv6   to web      to db       to bastion  to pc
from web        .           no/no       no/no       yes/yes
from db         no/no       .           no/no       yes/yes
from bastion    yes/yes     yes/yes     .           yes/yes
from pc         no/no       no/no       yes/yes     .

48 tried, 0 not as explained`);
  });

  test('shell takes a command line, or a program and its arguments, and never an assignment', async () => {
    const say = (...words: readonly string[]) => lab.command('shell', 'web', ...words);
    expect(await say('echo $((1 + 1)); exit 3')).toEqual({ exitCode: 3, stdout: '2', stderr: '' });
    expect(await say('-c', 'sgctl status | grep -c "policy .*: active"')).toMatchObject({ exitCode: 0, stdout: '1' });
    expect(await say('echo', '$((1 + 1));')).toMatchObject({ exitCode: 0, stdout: '$((1 + 1));' });
    expect(await say('A=1 sh -c "echo [$A] $0"')).toMatchObject({ exitCode: 0, stdout: '[] sh' });
    expect(await say('A=1', 'sgctl')).toMatchObject({ exitCode: 127, stdout: '' });
    for (const words of [['-x'], ['-c'], ['-c', 'true', 'too much']])
      expect(await say(...words)).toMatchObject({ exitCode: 2, stdout: '' });
  });

  if (kind === 'namespaces')
    test('without a terminal too, from bastion to web; where ssh gets no answer, it ends by itself', async () => {
      const reject = false;
      expect(await lab.on('pc', ['ssh', 'bastion', 'ssh web uname -n'])).toMatchObject({ stdout: 'web' });
      expect(await lab.on('pc', ['ssh', 'bastion', 'ssh web sgctl verify'])).toMatchObject({ exitCode: 0 });
      expect(await lab.on('pc', login('web'), { reject })).toMatchObject({ exitCode: 255, stdout: '' });
    });

  test('what is saved in its folder reaches the hosts, and with the rule of the tour pc logs in by both families', async () => {
    const file = (await lab.command('edit')).stdout;
    const before = readFileSync(file, 'utf8');
    expect(before).toContain(TOUR);
    writeFileSync(file, before.replace(TOUR, TOUR.slice(2)));
    const logsIn = async () => (await lab.on('pc', login('web'), { reject: false })).stdout === 'web';
    await until('pc logs in to web', logsIn, PATIENCE);
    for (const family of ['-4', '-6']) expect(await lab.on('pc', login(family, 'web'))).toMatchObject({ exitCode: 0 });
    expect(await lab.on('pc', login('-4', 'db'), { reject: false })).toMatchObject({ exitCode: 255, stdout: '' });

    const folder = join(file, '../policy.d');
    mkdirSync(folder);
    writeFileSync(join(folder, 'more.yaml'), 'addressGroups: { more: { addresses: [192.0.2.99] } }\n');
    const more = async () =>
      (await lab.on('db', ['cat', '/etc/secgroupd/policy.d/more.yaml'], { reject: false })).stdout;
    await until('it is carried', async () => (await more()).includes('192.0.2.99'), PATIENCE);
    rmSync(folder, { recursive: true });
    await until('it is gone', async () => (await more()) === '', PATIENCE);

    writeFileSync(file, before);
    expect(await lab.command('policy', file)).toMatchObject({ exitCode: 0, stdout: 'in force on: web db bastion' });
  });

  if (kind === 'containers')
    test('a session that a new rule cuts ends by itself', async () => {
      const file = (await lab.command('edit')).stdout;
      const before = readFileSync(file, 'utf8');
      const other = join(mkdtempSync(join(tmpdir(), 'lab-policy-')), 'policy.yaml');
      writeFileSync(other, before.replace(TOUR, TOUR.slice(2)));
      expect(await lab.command('policy', other)).toMatchObject({ exitCode: 0 });
      const session = lab.begin('pc', ['ssh', 'web', 'echo here; exec cat']);
      let said = '';
      const ended = new Promise<number | null>((resolve) => session.once('close', resolve));
      session.stdout?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      await until('it is logged in', () => said.includes('here'), PATIENCE);
      writeFileSync(other, before);
      expect(await lab.command('policy', other)).toMatchObject({ exitCode: 0 });
      expect(await ended).toBe(255);
      rmSync(join(other, '..'), { recursive: true });
    }, 60_000);

  test('a policy with a mistake is refused before any host has it, and the mistake is shown', async () => {
    const before = await lab.command('policy');
    const bad = join(mkdtempSync(join(tmpdir(), 'lab-policy-')), 'bad.yaml');
    writeFileSync(bad, `${before.stdout}\ninstance: {}\n`);
    const { exitCode, stdout, stderr } = await lab.command('policy', bad);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain('bastion, db, web:\n<stdin>:');
    expect(stderr).toContain('did you mean `instances`?');
    expect(stderr).toContain(`nothing changed: mend ${bad} first`);
    expect(await lab.command('policy')).toEqual(before);
    expect(await lab.on('web', ['sgctl', 'status', '--json'])).toMatchObject({ exitCode: 0 });

    // Saved in place it reaches them, and they say so.
    const file = (await lab.command('edit')).stdout;
    const good = readFileSync(file, 'utf8');
    writeFileSync(file, readFileSync(bad, 'utf8'));
    const status = async () => (await lab.on('web', ['sgctl', 'status'], { reject: false })).stdout;
    await until('it is refused', async () => (await status()).includes('did you mean `instances`?'), PATIENCE);
    writeFileSync(file, good);
    expect(await lab.command('policy', file)).toMatchObject({ exitCode: 0 });
    rmSync(join(bad, '..'), { recursive: true });
  });

  test('the policy of a host is its own: what is removed there stays with the others', async () => {
    const remove = kind === 'containers' ? 'dpkg --purge secgroupd' : 'rm -rf /etc/secgroupd/*';
    expect(await lab.command('shell', 'db', remove)).toMatchObject({ exitCode: 0 });
    expect(await lab.command('shell', 'db', 'ls -A /etc/secgroupd')).toMatchObject({ stdout: '' });
    for (const host of ['web', 'bastion'])
      expect(await lab.on(host, ['sgctl', 'verify', '/etc/secgroupd/policy.yaml'])).toMatchObject({ exitCode: 0 });
    await lab.on('web', ['touch', '/root/of-web']);
    expect((await lab.command('shell', 'bastion', 'ls -A /root')).stdout).not.toContain('of-web');
    expect(existsSync('/root/of-web')).toBe(false);
  });

  test('power: what has none says so; what has some comes back by its own reboot, and by on', async () => {
    if (kind === 'namespaces') {
      const { exitCode, stderr } = await lab.command('off', 'web');
      expect({ exitCode, stderr }).toMatchObject({
        exitCode: 3,
        stderr: expect.stringContaining('--hosts containers'),
      });
      expect(await lab.on('web', ['uname', '-n'])).toMatchObject({ stdout: 'web' });
      return;
    }
    const init = async () =>
      (await lab.on('web', ['systemctl', 'show', '--value', '-p', 'UserspaceTimestamp'], { reject: false })).stdout;
    const began = await init();
    await lab.command('shell', 'web', 'reboot');
    await until('web has booted again', async () => !['', began].includes(await init()), PATIENCE);
    const enforced = async () => (await lab.on('web', ['sgctl', 'verify'], { reject: false })).exitCode === 0;
    await until('its rules are in force', enforced, PATIENCE);
    expect((await lab.on('web', ['journalctl', '-b', '-u', 'secgroupd-boot'])).stdout).toContain(
      'the rules last in force are in force',
    );

    expect(await lab.command('on', 'web')).toMatchObject({ exitCode: 3, stderr: 'error: web is running' });
    expect(await lab.command('off', 'web')).toMatchObject({ exitCode: 0 });
    expect(await lab.on('web', ['true', ''], { reject: false })).toMatchObject({ stderr: 'error: web is not running' });
    expect((await lab.command('status')).stdout).toContain('== bastion\npolicy ');
    expect(await lab.command('on', 'web')).toMatchObject({ exitCode: 0 });
    expect(await lab.on('bastion', login('web'))).toMatchObject({ stdout: 'web' });
  });

  test('down leaves nothing', async () => {
    await lab.down();
    expect(existsSync(`/tmp/${lab.name}`)).toBe(false);
    expect((await execa('ip', ['netns', 'list'])).stdout).not.toContain(lab.name);
    expect((await execa('pgrep', ['--full', lab.name], { reject: false })).stdout).toBe('');
  });
});

test('beside another lab, each command that is printed names its own', async () => {
  const labs = await Promise.all([raiseLab('namespaces'), raiseLab('namespaces')]);
  try {
    for (const { name, printed } of labs) {
      const commands = printed.split('\n').filter((line) => line.startsWith('  '));
      expect(commands.map((line) => /lab\.sh --lab (\S+) /.exec(line)?.[1])).toEqual(commands.map(() => name));
      expect(commands.length).toBeGreaterThan(3);
    }
  } finally {
    await Promise.all(labs.map((lab) => lab.down()));
  }
});

describe('the runner', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await raiseLab('namespaces');
  });
  afterAll(async () => {
    await lab?.down();
  });

  test('what is not reached and should be, and what is and should not, is found', async () => {
    await lab.on('web', ['nft', '-f', '-'], {
      input: 'table ip stranger {\nchain input {\ntype filter hook input priority 10\nip protocol icmp drop\n}\n}\n',
    });
    const deaf = await lab.command('matrix');
    expect(deaf.exitCode).toBe(1);
    expect(deaf.stderr.split('\n').toSorted()).toEqual(
      ['bastion', 'db', 'pc']
        .flatMap((host) => [
          `! ping from ${host} to web, IPv4: no, where sgctl explain says yes`,
          // Nor does an answer to web come in.
          ...(host === 'bastion' ? [] : [`! ping from web to ${host}, IPv4: no, where sgctl explain says yes`]),
        ])
        .toSorted(),
    );
    await lab.on('web', ['nft', 'delete table ip stranger']);

    // pc takes itself for db, whose ping it answers; a login there ends at the wrong host.
    await lab.on('pc', ['ip', 'route', 'add', 'local', '192.0.2.20', 'dev', 'lo']);
    const open = await lab.command('matrix');
    await lab.on('pc', ['ip', 'route', 'delete', 'local', '192.0.2.20', 'dev', 'lo']);
    expect(open.exitCode).toBe(1);
    expect(open.stderr).toContain('! ping from pc to db, IPv4: yes, where sgctl explain says no');
    expect(open.stderr).toContain('! ssh from pc to db, IPv4: failed, where sgctl explain says no');
    expect(open.stdout).toContain('yes!/no');
  });

  test('a scenario that is not there changes nothing', async () => {
    const before = await lab.command('policy');
    const { exitCode, stderr } = await lab.command('matrix', join(SCENARIOS, 'missing.yaml'));
    expect(stderr).toContain('there is no');
    expect(exitCode).toBe(3);
    expect(await lab.command('policy')).toEqual(before);
  });
});
