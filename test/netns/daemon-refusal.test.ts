import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Status } from '#api/status.ts';
import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import { loadPolicy } from '#core/load-policy.ts';
import { planChange } from '#core/plan-change.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { createPolicyReader } from '#host/files/policy-reader.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { BARE_HOST } from './enforce.ts';
import { replaceFile, type Site, useSite } from './harness-daemon/site.ts';

const MISTAKES = Number(process.env['SECGROUPD_MISTAKES'] ?? '60');

/** Every kind of thing a policy can say, so that a wrong character can meet each of them. */
const VALID = `version: 1
evaluation: sequence
unmanagedInterfaces: allow
platform:
  dhcpClient: true
  management:
    - { protocol: tcp, ports: 22, source: 192.0.2.10/32 }
addressGroups:
  office:
    addresses: [203.0.113.0/24, 198.51.100.10-198.51.100.20, "2001:db8:1::/48"]
  listed:
    file: lists/listed.txt
securityGroups:
  web:
    description: what the world sees
    inbound:
      - action: deny
        priority: 1
        source: { addressGroup: listed }
      - action: allow
        priority: 2
        type: ipv4
        protocol: icmp
        icmp: echo-request
        source: 0.0.0.0/0
      - { priority: 2, protocol: tcp, ports: "80,443,8000-8999", source: any }
      - { priority: 3, protocol: udp, ports: [53, 5353], source: { addressGroup: office } }
      - { priority: 4, protocol: all, source: self }
    outbound:
      - { destination: any }
  other:
    template: default
instances:
  host:
    interfaces:
      eth0:
        addresses: [10.77.0.1, "2001:db8::10"]
        securityGroups: [web, other]
  friend:
    interfaces:
      "ens*": { addresses: [192.0.2.77], securityGroups: [web] }
`;

const CHARACTERS = [...'abx019 \t\n:;,-#{}[]"\'&*!|>%@`~?=./\\'.split(''), 'é', '\u0000', '\u00a0', '😀'];

/** Numbers below `below`, the same ones for the same seed (Park and Miller's generator). */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

interface Mistake {
  readonly name: string;
  readonly text: string;
}

/** `text` with one character deleted, replaced or inserted. */
function corrupt(text: string, random: (below: number) => number): Mistake {
  const at = random(text.length);
  const character = CHARACTERS[random(CHARACTERS.length)] ?? 'x';
  const kind = (['delete', 'replace', 'insert'] as const)[random(3)] ?? 'delete';
  const kept = kind === 'insert' ? at : at + 1;
  const line = text.slice(0, at).split('\n').length;
  const what = kind === 'delete' ? JSON.stringify(text[at]) : JSON.stringify(character);
  return {
    name: `${kind} ${what} in line ${line}`,
    text: text.slice(0, at) + (kind === 'delete' ? '' : character) + text.slice(kept),
  };
}

let site: Site;

useSite((made) => {
  site = made;
});

/** What the files mean by the pipeline that the daemon has too: the content hash of what has to be in force, or the errors. */
async function meaning(): Promise<
  { readonly contentHash: string } | { readonly errors: readonly Diagnostic[] } | 'absent'
> {
  const { policy, diagnostics } = await loadPolicy(createPolicyReader(site.policyFile, 'root'));
  if (policy === undefined) return { errors: diagnostics };
  const located = locateHost(policy, BARE_HOST, 'host');
  return located.kind === 'absent' ? 'absent' : planChange(located.hostPolicy, undefined, hashContent).change.next;
}

function places(status: Status): string {
  return (status.refusal?.diagnostics ?? [])
    .map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`)
    .join('\n');
}

function writePolicy(text: string): void {
  mkdirSync(join(site.directory, 'etc/lists'), { recursive: true });
  writeFileSync(join(site.directory, 'etc/lists/listed.txt'), '198.51.100.0/24 # a neighbour\n203.0.113.77\n');
  replaceFile(site.policyFile, text);
}

describe('a mistake in the policy', () => {
  test(
    `${MISTAKES} times one wrong character: refused with file, line and column, or meant; never half`,
    async () => {
      writePolicy(VALID);
      const daemon = await site.start();
      let table = await site.table();
      const random = randomNumbers(20_260);
      let refused = 0;
      for (let i = 0; i < MISTAKES; i += 1) {
        const { name, text } = corrupt(VALID, random);
        replaceFile(site.policyFile, text);
        const meant = await meaning();
        if (meant === 'absent') {
          await daemon.until(name, ({ refusal }) => refusal?.diagnostics[0]?.code === 'host-not-in-policy');
        } else if ('contentHash' in meant) {
          await daemon.until(
            name,
            ({ state, inForce }) => state === 'enforced' && inForce?.stamp === meant.contentHash,
          );
          table = await site.table();
        } else {
          const expected = meant.errors
            .map(({ span, message }) => `${span.file}:${span.line}:${span.column}: ${message}`)
            .join('\n');
          await daemon.until(name, (status) => places(status) === expected);
          const first = meant.errors.find(({ severity }) => severity === 'error')?.span;
          const isInFile = first?.file === site.policyFile && first.line >= 1 && first.column >= 1;
          expect({ name, isInFile: isInFile && first.line <= text.split('\n').length }).toEqual({
            name,
            isInFile: true,
          });
          refused += 1;
        }
        expect({ name, table: await site.table() }).toEqual({ name, table });
      }
      // Were every corruption valid, or none, nothing would be proved of the other kind.
      expect(refused).toBeGreaterThan(MISTAKES / 3);
      expect(refused).toBeLessThan(MISTAKES);
      replaceFile(site.policyFile, VALID);
      const meant = await meaning();
      await daemon.until('the valid policy is in force again', ({ inForce, state }) => {
        return (
          state === 'enforced' &&
          typeof meant === 'object' &&
          'contentHash' in meant &&
          inForce?.stamp === meant.contentHash
        );
      });
    },
    60_000 + MISTAKES * 1_000,
  );

  test('against what the policy itself asserts is refused, with the rule at fault and a packet; one that keeps to it is not', async () => {
    const asserting = (source: string): string => `version: 1
securityGroups:
  db:
    inbound:
      - { protocol: tcp, ports: 5432, source: ${source} }
instances:
  host: { interfaces: { eth0: { securityGroups: [db] } } }
assert:
  - deny: { protocol: tcp, ports: 5432, source: any, except: [10.0.0.0/8] }
    because: the internet never reaches the database
`;
    replaceFile(site.policyFile, asserting('10.1.0.0/16'));
    const daemon = await site.start();
    const table = await site.table();
    replaceFile(site.policyFile, asserting('0.0.0.0/0'));
    const { refusal } = await daemon.until('it is refused', ({ state }) => state === 'refused');
    expect(refusal?.diagnostics).toMatchObject([{ code: 'assertion-broken', line: 9, column: 5 }]);
    expect(await site.table()).toBe(table);
    const { stdout } = await site.sgctl('status');
    expect(stdout).toContain('db inbound[0] allows it on `eth0` of `host`: tcp 5432 from ');
    expect(stdout).toContain('the internet never reaches the database');
    expect((await site.sgctl('check', site.policyFile)).exitCode).toBe(1);
    replaceFile(site.policyFile, asserting('10.0.0.0/9'));
    await daemon.until(
      'the next is in force',
      ({ state, inForce }) => state === 'enforced' && inForce?.generation === 2,
    );
    expect((await site.sgctl('check', site.policyFile)).exitCode).toBe(0);
  });

  test('is shown by sgctl status, to scripts and to people, with its line; mending it takes the words away', async () => {
    writePolicy(VALID);
    const daemon = await site.start();
    const table = await site.table();
    replaceFile(site.policyFile, VALID.replace('"80,443,8000-8999"', '"80,443,8000-899"'));
    await daemon.until('refused', ({ state }) => state === 'refused');
    const line = VALID.split('\n').findIndex((text) => text.includes('8000-8999')) + 1;
    const column = (VALID.split('\n')[line - 1] ?? '').indexOf('"80,443') + 1;

    const json = await site.sgctl('status', '--json');
    expect(json.exitCode).toBe(1);
    const status = JSON.parse(json.stdout) as Status;
    expect(status).toMatchObject({ state: 'refused', inForce: { generation: 1 } });
    const [diagnostic] = status.refusal?.diagnostics ?? [];
    expect(diagnostic).toMatchObject({ file: site.policyFile, line, severity: 'error' });
    expect(diagnostic?.column).toBeGreaterThanOrEqual(column);
    expect(diagnostic?.column).toBeLessThan(column + '"80,443,8000-899"'.length);

    const text = await site.sgctl('status');
    expect(text.exitCode).toBe(1);
    expect(text.stdout).toContain(`${site.policyFile}:${line}:${diagnostic?.column}: error[${diagnostic?.code}]`);
    expect(text.stdout).toContain('NOT active');
    expect(text.stdout).toContain('8000-899"');
    expect(daemon.log.at(-1)).toMatchObject({ level: 50, file: site.policyFile, line });
    expect(await site.table()).toBe(table);

    replaceFile(site.policyFile, VALID);
    await daemon.until('mended', ({ state }) => state === 'enforced');
    const after = await site.sgctl('status');
    expect(after.stdout).not.toContain('refused');
    expect(await site.table()).toBe(table);
  });

  test('is the one told of, and not an older one that it replaced: the host missing, then a wrong key', async () => {
    writePolicy(VALID);
    const daemon = await site.start();
    const table = await site.table();
    replaceFile(site.policyFile, VALID.replace('  host:', '  hos:'));
    await daemon.until('absent', ({ refusal }) => refusal?.diagnostics[0]?.code === 'host-not-in-policy');
    replaceFile(site.policyFile, VALID.replace('protocol: tcp, ports: "80', 'potocol: tcp, ports: "80'));
    await daemon.until('the newer one', ({ refusal }) => refusal?.diagnostics[0]?.code === 'unknown-key');
    // It stays so: another round for another reason has nothing newer to tell.
    expect((await daemon.reload()).refusal?.diagnostics[0]).toMatchObject({ code: 'unknown-key', line: 26 });
    expect(await site.table()).toBe(table);
  });

  test('in a list file, or in a drop-in, is told with the name of that file and changes nothing', async () => {
    writePolicy(VALID);
    const daemon = await site.start();
    const table = await site.table();
    const list = join(site.directory, 'etc/lists/listed.txt');
    replaceFile(list, '198.51.100.0/24\n203.0.113.777\n');
    const inList = await daemon.until('the list is refused', ({ state }) => state === 'refused');
    expect(inList.refusal?.diagnostics[0]).toMatchObject({ file: list, line: 2, column: 1, severity: 'error' });
    expect((await site.sgctl('status')).stdout).toContain(`${list}:2:1: error`);
    expect(await site.table()).toBe(table);
    replaceFile(list, '198.51.100.0/24\n203.0.113.77\n');
    await daemon.until('the list is mended', ({ state }) => state === 'enforced');

    mkdirSync(site.dropIns);
    const dropIn = join(site.dropIns, '10-more.yaml');
    writeFileSync(dropIn, 'securityGroups:\n  more:\n    inbound: [{ protocol: tcp, port: 81, source: any }]\n');
    const inDropIn = await daemon.until('the drop-in is refused', ({ state }) => state === 'refused');
    expect(inDropIn.refusal?.diagnostics[0]).toMatchObject({ file: dropIn, line: 3, severity: 'error' });
    expect((await site.sgctl('status')).stdout).toContain(`${dropIn}:3:`);
    expect(await site.table()).toBe(table);
    replaceFile(dropIn, 'securityGroups:\n  more:\n    inbound: [{ protocol: tcp, ports: 81, source: any }]\n');
    await daemon.until('the drop-in is mended', ({ state }) => state === 'enforced');
    expect(await site.table()).toBe(table);
  });

  test('that others than root could have made is refused: a file that everybody may write', async () => {
    writePolicy(VALID);
    const daemon = await site.start();
    const table = await site.table();
    await site.world.exec(site.world.host, ['chmod', '666', site.policyFile]);
    const status = await daemon.until('refused', ({ state }) => state === 'refused');
    expect(status.refusal?.diagnostics[0]).toMatchObject({ code: 'unreadable-file', file: site.policyFile });
    expect(await site.table()).toBe(table);
    await site.world.exec(site.world.host, ['chmod', '644', site.policyFile]);
    await daemon.until('mended', ({ state }) => state === 'enforced');
  });
});
