import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Lab, raiseLab } from './lab.ts';

const SCENARIOS = fileURLToPath(new URL('../../vagrant/scenarios/', import.meta.url));
/** Of four hosts each tries the three others by ping and ssh, over IPv4 and IPv6. */
const TRIES = 4 * 3 * 2 * 2;

describe.each(['namespaces', 'containers'] as const)('a lab of %s', (kind) => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await raiseLab(kind);
  }, 300_000);
  afterAll(async () => {
    await lab?.down();
  });

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

  test('down leaves nothing', async () => {
    await lab.down();
    expect(existsSync(`/tmp/${lab.name}`)).toBe(false);
    expect((await execa('ip', ['netns', 'list'])).stdout).not.toContain(lab.name);
    expect((await execa('pgrep', ['--full', lab.name], { reject: false })).stdout).toBe('');
  });
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
