import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../netns/harness-daemon/until.ts';
import { createMachine, type Machine, PROJECT_INSIDE } from './machine/machine.ts';

/** The page of chores, whose commands and lines of policy are tried here as they stand. */
const PAGE = readFileSync(new URL('../../config/chores.md', import.meta.url), 'utf8');
const SHIPPED = readFileSync(new URL('../../config/policy.yaml', import.meta.url), 'utf8');
const POLICY = '/etc/secgroupd/policy.yaml';

let machine: Machine;

beforeAll(async () => {
  machine = await createMachine('bookworm');
  await machine.powerOn();
  await machine.booted();
  await machine.exec([`${PROJECT_INSIDE}/scripts/install.sh`]);
  await inForce();
}, 300_000);

afterAll(async () => {
  await machine?.remove();
});

/** The code below a heading, of the blocks that begin so. The machine has no sudo. */
function code(title: string, kind: string): string {
  const section = PAGE.split(/^### /m).find((text) => text.startsWith(`${title}\n`)) ?? '';
  const blocks = [...section.matchAll(new RegExp(`^\`\`\`${kind}\\n([^]*?)^\`\`\`$`, 'gm'))].map(([, text]) => text);
  if (blocks.length === 0) throw new Error(`the page has no ${kind} below ${title}`);
  return blocks.join('').replaceAll('sudo ', '');
}

/** Runs shell commands; throws if one of them fails. */
async function run(script: string): Promise<string> {
  return (await machine.exec(['bash', '-euo', 'pipefail', '-c', script])).stdout;
}

async function inForce(): Promise<void> {
  await until('the policy is in force', async () =>
    / active$/m.test((await machine.exec(['sgctl', 'status'], { reject: false })).stdout),
  );
}

/** The shipped policy with lines of the page where the page says they belong. */
function policyWith(title: string): string {
  const section = PAGE.split(/^### /m).find((text) => text.startsWith(`${title}\n`)) ?? '';
  const places = { inbound: '    inbound:\n', platform: 'platform:\n', top: 'version: 1\n' };
  const indent = { inbound: '      ', platform: '  ', top: '' };
  return (Object.keys(places) as (keyof typeof places)[])
    .filter((place) => section.includes(`\`\`\`yaml ${place}\n`))
    .reduce((text, place) => {
      const lines = code(title, `yaml ${place}`).replaceAll(/^(?=.)/gm, indent[place]);
      return text.replace(places[place], `${places[place]}${lines}`);
    }, SHIPPED);
}

/** Saves the policy by rename, and waits for it. */
async function save(text: string): Promise<void> {
  const before = await run('sgctl history | wc -l');
  machine.write(`${POLICY}.new`, text);
  await run(`sgctl check ${POLICY}.new --as ${POLICY}; mv ${POLICY}.new ${POLICY}`);
  await until('a new version', async () => (await run('sgctl history | wc -l')) !== before);
  await inForce();
}

async function verdict(source: string, port: number): Promise<string> {
  const destination = source.includes(':') ? '2001:db8::10' : '192.0.2.10';
  const words = `--direction inbound --protocol tcp --src ${source} --dst ${destination} --dport ${port} --interface eth0`;
  return (await run(`sgctl explain ${words} || true`)).split(' ', 1)[0] ?? '';
}

describe('lines of policy', () => {
  test.each([
    {
      title: 'Open a port',
      source: '198.51.100.7',
      port: 443,
      neighbour: ['198.51.100.7', 444],
      verdicts: ['allow', 'deny'],
    },
    {
      title: 'Ban an address',
      source: '198.51.100.66',
      port: 22,
      neighbour: ['198.51.100.65', 22],
      verdicts: ['deny', 'allow'],
    },
    {
      title: 'Protect myself from locking me out',
      source: '192.0.2.10',
      port: 22,
      neighbour: ['192.0.2.10', 23],
      verdicts: ['allow', 'deny'],
    },
    {
      title: 'Allow the same over IPv6',
      source: '2001:db8:1::5',
      port: 8443,
      neighbour: ['2001:db8:2::5', 8443],
      verdicts: ['allow', 'deny'],
    },
    {
      title: 'Log ssh logins',
      source: '198.51.100.7',
      port: 22,
      neighbour: ['198.51.100.7', 21],
      verdicts: ['allow', 'deny'],
    },
  ] as const)('$title', async ({ title, source, port, neighbour, verdicts }) => {
    await save(policyWith(title));
    expect([await verdict(source, port), await verdict(neighbour[0], neighbour[1])]).toEqual(verdicts);
  });

  test('management rules are in force', async () => {
    await save(policyWith('Protect myself from locking me out'));
    expect(
      await run(
        `sgctl explain --direction inbound --protocol tcp --src 192.0.2.10 --dst 192.0.2.80 --dport 22 --interface eth0`,
      ),
    ).toContain('management');
  });

  test('Ban 5,000 addresses from a file', async () => {
    const title = 'Ban 5,000 addresses from a file';
    await run(code(title, 'sh'));
    await save(policyWith(title));
    expect([await verdict('203.0.113.200', 22), await verdict('198.51.100.67', 22)]).toEqual(['deny', 'deny']);
    expect([await verdict('203.0.113.201', 22), await verdict('198.51.100.68', 22)]).toEqual(['allow', 'allow']);
  });
});

describe('commands', () => {
  test('Test a policy before it is applied; apply with a way back', async () => {
    expect(await run(code('Test a policy before it is applied', 'sh'))).toContain('valid');
    // With the lists that are in force: a policy with others is not saved by the confirmation.
    await save(SHIPPED);
    machine.write('/etc/secgroupd/policy.new', policyWith('Open a port'));
    await run(code('Apply with a way back', 'sh'));
    await inForce();
    expect(await verdict('198.51.100.7', 443)).toBe('allow');
    expect(await run(`cat ${POLICY}`)).toBe(policyWith('Open a port').trimEnd());
  });

  test('Undo the last change, and keep what a rollback brought back', async () => {
    await run(code('Undo the last change', 'sh'));
    expect(await run('sgctl status || true')).toContain('NOT active');
    await run(code('Keep what a rollback brought back', 'sh'));
    await inForce();
    expect(await run(`cat ${POLICY}`)).toBe(await run('sgctl history 1'));
    expect(await verdict('198.51.100.7', 443)).toBe('deny');
  });

  test('Look', async () => {
    expect(await run(code('See what is blocked now', 'sh'))).toContain('table inet secgroupd');
    expect(await run(code('Find the rule that allows a connection', 'sh'))).toMatch(/^deny {2}new tcp connection/);
    expect(await run(code('Check a policy in CI', 'sh'))).toContain('deny');
  });

  test('Let somebody look who is not root', async () => {
    await run(code('Let somebody look who is not root', 'sh'));
    expect(await run('runuser -u joe -- sgctl status')).toContain('active');
    const clear = await machine.exec(['runuser', '-u', 'joe', '--', 'sgctl', 'clear', '--yes'], { reject: false });
    expect(clear.exitCode).toBe(3);
  });

  test('every metric of the alert is there', async () => {
    const metrics = await run(`python3 - <<'END'
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('/run/secgroupd/secgroupd-read.sock')
s.sendall(b'GET /metrics HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n')
while data := s.recv(65536): print(data.decode(), end='')
END`);
    const named = [...code('Scrape metrics', 'yaml alert').matchAll(/secgroupd_\w+/g)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(2);
    for (const name of named) expect(metrics).toMatch(new RegExp(`^${name} [01]$`, 'm'));
  });

  test('Back up and restore', async () => {
    const [backUp = '', restore = ''] = code('Back up and restore', 'sh').split('\n');
    const text = await run(`cat ${POLICY}`);
    await run(backUp);
    await save(policyWith('Ban an address'));
    await run(restore);
    await until('the old policy is back', async () => (await verdict('198.51.100.66', 22)) === 'allow');
    await inForce();
    expect(await run(`cat ${POLICY}`)).toBe(text);
  });

  test('Turn it off for ten minutes', async () => {
    await run(code('Turn it off for ten minutes', 'sh').replace('=10m', '=2s --timer-property=AccuracySec=100ms'));
    expect(await run('nft list tables')).not.toContain('secgroupd');
    await until('it is on again', async () => (await run('nft list tables')).includes('secgroupd'));
  });

  test('Turn it off for good, and on again', async () => {
    await run(code('Turn it off for good, and on again', 'sh off'));
    await machine.shutDown();
    await machine.powerOn();
    await machine.booted();
    expect(await run('nft list tables')).not.toContain('secgroupd');
    await run(code('Turn it off for good, and on again', 'sh on'));
    await inForce();
    expect(await run('nft list tables')).toContain('secgroupd');
  });
});
