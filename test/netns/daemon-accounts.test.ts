import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { LogEntry } from '#api/log-entry.ts';
import type { RuleHits } from '#api/rule-hits.ts';
import type { PacketDescription } from './harness/packet.ts';
import { sendInbound } from './harness/probe.ts';
import { replaceFile, type Site, useSite } from './harness-daemon/site.ts';
import { until } from './harness-daemon/until.ts';

let site: Site;

useSite((made) => {
  site = made;
});

beforeEach(() => {
  writeFileSync(join(site.directory, 'etc/listed.txt'), '172.16.0.0/24\n10.1.9.9\n');
});

let identity = 0;

/** A packet that opens a flow of its own. */
function packet(source: string, destinationPort: number, protocol = 17): PacketDescription {
  identity = (identity % 60_000) + 1;
  return { source, destination: '10.77.0.1', protocol, sourcePort: 1_024 + identity, destinationPort, identity };
}

async function send(packets: readonly PacketDescription[]): Promise<number> {
  let arrived = 0;
  for (let from = 0; from < packets.length; from += 250)
    arrived += (await sendInbound(site.world, 'eth0', packets.slice(from, from + 250))).size;
  return arrived;
}

async function stats(): Promise<RuleHits> {
  return JSON.parse((await site.sgctl('stats', '--json')).stdout) as RuleHits;
}

async function entries(): Promise<readonly LogEntry[]> {
  const { stdout } = await site.sgctl('log', '--json', '-n', '1000');
  return stdout === '' ? [] : stdout.split('\n').map((line) => JSON.parse(line) as LogEntry);
}

function policyOf(inbound: readonly string[], more = ''): string {
  return `version: 1
${more}addressGroups:
  listed: { file: listed.txt }
securityGroups:
  web:
    inbound:
${inbound.map((rule) => `      - ${rule}\n`).join('')}    outbound:
      - { destination: any }
instances:
  host: { interfaces: { eth0: { securityGroups: [web] } } }
`;
}

/** Twenty rules of both actions: lists, networks beside each other, everybody; many overlap, with one action and with two. */
const RULES = Array.from({ length: 20 }, (_, i) => {
  const place = i >> 2;
  const action = place % 2 === 0 ? 'allow' : i % 3 === 0 ? 'deny' : 'allow';
  const source = ['{ addressGroup: listed }', '10.1.0.0/17', '10.1.128.0/17', 'any'][i % 4] ?? '';
  return `{ action: ${action}, priority: ${1 + i}, protocol: udp, ports: "${5_000 + 10 * place}-${5_009 + 10 * place}", source: ${source} }`;
});

const SOURCES = ['10.1.2.3', '10.1.9.9', '10.1.200.1', '172.16.0.7', '192.0.2.1'];

describe('sgctl stats', () => {
  test.each([
    ['one after the other', 'allow'],
    ['as segments', 'segments'],
  ])('counts the packets that each of twenty rules decides on, exactly, with rules compiled %s', async (_, shape) => {
    const rules = shape === 'segments' ? RULES : RULES.slice(0, 8);
    replaceFile(site.policyFile, policyOf(rules));
    await site.start();
    const ports = Array.from({ length: 5 * 10 }, (_unused, i) => 5_000 + i);
    const packets = Array.from({ length: 1_000 }, (_unused, i) =>
      packet(SOURCES[i % SOURCES.length] ?? '', ports[(i * 7) % ports.length] ?? 0),
    );
    const arrived = await send(packets);
    const known = await stats();
    const inbound = known.rules.filter(({ direction }) => direction === 'inbound');
    const total = (some: readonly { readonly packets: number }[]): number =>
      some.reduce((sum, one) => sum + one.packets, 0);
    const [rest] = known.defaults.filter(({ direction }) => direction === 'inbound');
    expect(total(inbound) + (rest?.packets ?? 0)).toBe(1_000);
    expect(total(inbound.filter(({ action }) => action === 'allow'))).toBe(arrived);
    // Each by itself, as explain says of each packet.
    const queries = packets.map(({ source, destination, destinationPort, sourcePort }) =>
      JSON.stringify({
        interface: 'eth0',
        direction: 'inbound',
        protocol: 'udp',
        src: source,
        dst: destination,
        sport: sourcePort,
        dport: destinationPort,
        state: 'new',
      }),
    );
    const batch = join(site.directory, 'queries');
    writeFileSync(batch, queries.join('\n'));
    const { stdout } = await site.sgctl('explain', '--policy', site.policyFile, '--instance', 'host', '--batch', batch);
    const decided = new Map<number, number>();
    for (const answer of stdout.split('\n').map((line) => JSON.parse(line) as { rule: { line: number } | null })) {
      const line = answer.rule?.line ?? 0;
      decided.set(line, (decided.get(line) ?? 0) + 1);
    }
    const counted = inbound.map(({ line, packets: count }) => [line, count]);
    expect(counted).toEqual(inbound.map(({ line }) => [line, decided.get(line) ?? 0]));
    expect(inbound.filter(({ packets: count }) => count > 0).length).toBeGreaterThan(rules.length / 2);
    const text = (await site.sgctl('stats')).stdout;
    expect(text).toMatch(/^ +\d+ +\d+ {2}allow {2}web inbound\[0\] {2}.*policy.yaml:7$/m);
    expect(text).toContain('deny   no rule matches, inbound on eth0');
  });

  test('and the log name what comes in with an address of the host itself, which no rule matches', async () => {
    replaceFile(site.policyFile, policyOf(['{ source: any }']));
    await site.start();
    const own = { source: 'fd77:0::1', destination: 'fd77:0::1', protocol: 17, sourcePort: 9, destinationPort: 53 };
    const stranger = { ...own, source: 'fd77:0::99', identity: 2 };
    expect(await send([{ ...own, identity: 1 }, stranger])).toBe(1);
    await until('the entry', async () => (await entries()).length > 0);
    expect(await entries()).toMatchObject([
      {
        verdict: 'deny',
        reason: 'platform',
        platform: 'own-address',
        rule: null,
        interface: 'eth0',
        direction: 'inbound',
        src: 'fd77::1',
      },
    ]);
    expect((await site.sgctl('log')).stdout).toMatch(/inbound on eth0, by platform:own-address, built in$/m);
    expect((await stats()).platform).toMatchObject([{ name: 'own-address', direction: 'inbound', packets: 1 }]);
    expect((await site.sgctl('stats')).stdout).toMatch(/ 1 +\d+ {2}deny {3}platform:own-address, inbound$/m);
    const query = [
      '--protocol',
      'udp',
      '--dport',
      '53',
      '--src',
      'fd77::1',
      '--dst',
      'fd77::1',
      '--direction',
      'inbound',
    ];
    const anyHost = join(site.directory, 'etc/any-host.yaml');
    writeFileSync(anyHost, policyOf(['{ source: any }']).replace('  host:', '  "*":'));
    const explained = await site.sgctl('explain', '--policy', anyHost, ...query);
    expect(explained.stdout).toMatch(/^deny .*\nbecause {4}platform:own-address, built in$/m);
    expect((await site.sgctl('verify')).exitCode).toBe(0);
  });

  test('keeps counting while other rules come and go, and begins anew with a rule that says something else', async () => {
    const kept = '{ protocol: udp, ports: 7, source: any }';
    replaceFile(site.policyFile, policyOf([kept]));
    const daemon = await site.start();
    const countOfKept = async (): Promise<number | undefined> =>
      (await stats()).rules.find(({ direction, action }) => direction === 'inbound' && action === 'allow')?.packets;
    await send([packet('10.1.0.1', 7), packet('10.1.0.2', 7)]);
    expect(await countOfKept()).toBe(2);
    // Of two that say the same the first decides.
    replaceFile(site.policyFile, policyOf(['{ action: deny, protocol: udp, ports: 9, source: any }', kept, kept]));
    await daemon.until('the change is in force', ({ inForce }) => inForce?.generation === 2);
    await send([packet('10.1.0.3', 7), packet('10.1.0.4', 9)]);
    const counted = (await stats()).rules.filter(({ direction }) => direction === 'inbound');
    expect(counted.map(({ index, packets }) => [index, packets])).toEqual([
      [0, 1],
      [1, 3],
      [2, 0],
    ]);
    await daemon.stop('SIGKILL');
    const next = await site.start();
    expect(await countOfKept()).toBe(3);
    replaceFile(site.policyFile, policyOf(['{ protocol: udp, ports: "7-8", source: any }']));
    await next.until('the change is in force', ({ inForce }) => (inForce?.generation ?? 0) > 2);
    expect(await countOfKept()).toBe(0);
  });

  test('says so where the policy has rules not counted', async () => {
    replaceFile(site.policyFile, policyOf(['{ protocol: udp, ports: 7, source: any }'], 'counters: false\n'));
    await site.start();
    await send([packet('10.1.0.1', 7), packet('10.1.0.1', 8)]);
    const known = await stats();
    expect(known.counters).toBe(false);
    expect(known.defaults.find(({ direction }) => direction === 'inbound')?.packets).toBe(1);
    expect((await site.sgctl('stats')).stdout).toContain('rules are not counted');
  });
});

describe('many rules', () => {
  test('are not counted unless the policy says so, and the log names the one that denied all the same', async () => {
    const many = Array.from(
      { length: 600 },
      (_, i) => `{ action: ${i % 2 === 0 ? 'deny' : 'allow'}, protocol: udp, ports: ${1_000 + i}, source: any }`,
    );
    replaceFile(site.policyFile, policyOf(many));
    const daemon = await site.start();
    expect(await send([packet('10.1.0.1', 1_000), packet('10.1.0.1', 1_001), packet('10.1.0.1', 99)])).toBe(1);
    const found = await until('they are logged', async () => {
      const all = await entries();
      return all.length >= 2 && all;
    });
    expect(found).toMatchObject([
      { verdict: 'deny', reason: 'rule', dport: 1_000, rule: { group: 'web', index: 0, line: 7 } },
      { verdict: 'deny', reason: 'default', dport: 99, rule: null },
    ]);
    expect(await site.table()).not.toContain('hit/in/');
    expect((await stats()).counters).toBe(false);
    replaceFile(site.policyFile, policyOf(many, 'counters: true\n'));
    await daemon.until('the change is in force', ({ inForce }) => inForce?.generation === 2);
    await send([packet('10.1.0.2', 1_000), packet('10.1.0.2', 1_001)]);
    const { rules, counters } = await stats();
    expect([counters, rules[0]?.packets, rules[1]?.packets, rules[2]?.packets]).toEqual([true, 1, 1, 0]);
  });
});

describe('sgctl log', () => {
  test('names the rule that denied a packet, with file and line; the rule that says so for an allowed one; and no rule', async () => {
    replaceFile(
      site.policyFile,
      policyOf([
        '{ action: deny, priority: 1, protocol: tcp, ports: 22, source: 10.9.0.0/16 }',
        '{ protocol: tcp, ports: 22, source: any, priority: 2 }',
        '{ protocol: tcp, ports: 80, source: any, log: true }',
        '{ action: deny, protocol: tcp, ports: 81, source: any, log: false }',
      ]),
    );
    const daemon = await site.start();
    const follower = site.sgctl('log', '-f', '--json');
    await wait(500);
    const sent = [
      packet('10.9.1.1', 22, 6),
      packet('10.8.1.1', 22, 6),
      packet('10.8.1.1', 80, 6),
      packet('10.8.1.1', 81, 6),
      packet('10.8.1.1', 82, 6),
    ];
    const arrived = await sendInbound(site.world, 'eth0', sent);
    expect(sent.map((one) => arrived.has(one.identity))).toEqual([false, true, true, false, false]);
    const found = await until('they are logged', async () => {
      const all = await entries();
      return all.length >= 3 && all;
    });
    const common = { interface: 'eth0', direction: 'inbound', protocol: 'tcp', dst: '10.77.0.1' };
    expect(found).toMatchObject([
      {
        ...common,
        verdict: 'deny',
        reason: 'rule',
        src: '10.9.1.1',
        dport: 22,
        sport: sent[0]?.sourcePort,
        rule: { group: 'web', index: 0, file: site.policyFile, line: 7 },
      },
      { ...common, verdict: 'allow', src: '10.8.1.1', dport: 80, rule: { group: 'web', index: 2, line: 9 } },
      { ...common, verdict: 'deny', reason: 'default', src: '10.8.1.1', dport: 82, rule: null },
    ]);
    expect(found).toHaveLength(3);
    expect((await site.sgctl('log')).stdout).toContain(
      `deny tcp 10.9.1.1:${sent[0]?.sourcePort ?? 0} -> 10.77.0.1:22 inbound on eth0, by rule web inbound[0], ${site.policyFile}:7`,
    );
    // The journal is what the daemon prints.
    expect(daemon.log.filter(({ msg }) => msg.startsWith('deny tcp'))).toHaveLength(2);
    const late = [['-n', '2'], ['-n', '0'], []].map((words) => site.sgctl('log', '-f', '--json', ...words));
    // What is kept is sent as soon as they listen.
    await until('they listen', async () => {
      const { stdout } = await site.world.exec(site.world.host, ['ss', '-Hx', 'state', 'connected']);
      return stdout.split('\n').filter((line) => line.includes(`${site.runtimeDirectory}/`)).length >= 4;
    });
    await wait(500);
    await daemon.stop();
    const told = (await Promise.all(late)).map(({ stdout }) => stdout.split('\n').filter(Boolean));
    expect(told.map((lines) => lines.map((line) => (JSON.parse(line) as LogEntry).dport))).toEqual([
      [80, 82],
      [],
      [22, 80, 82],
    ]);
    const followed = await follower;
    expect(followed.stdout.split('\n').map((line) => (JSON.parse(line) as LogEntry).dport)).toEqual([22, 80, 82]);
    expect(followed.stderr).toBe('the daemon has ended');
  });

  test('is no more than its limit under a flood, and nothing where the policy says so', async () => {
    replaceFile(site.policyFile, policyOf([], 'logging: { rate: 5 }\n'));
    const daemon = await site.start();
    const began = performance.now();
    expect(await send(Array.from({ length: 2_000 }, () => packet('10.1.0.1', 9)))).toBe(0);
    const seconds = (performance.now() - began) / 1000;
    await wait(300);
    const logged = (await entries()).length;
    // Half of it: the other half is for ends that nothing was logged of lately.
    expect(logged).toBeGreaterThanOrEqual(5);
    expect(logged).toBeLessThanOrEqual(5 + 2.5 * (seconds + 1));
    expect((await stats()).defaults.find(({ direction }) => direction === 'inbound')?.packets).toBe(2_000);

    replaceFile(
      site.policyFile,
      policyOf(['{ action: deny, protocol: udp, ports: 7, source: any }'], 'logging: { denied: false }\n'),
    );
    await daemon.until('the change is in force', ({ inForce }) => inForce?.generation === 2);
    await send([packet('10.1.0.1', 7), packet('10.1.0.1', 9)]);
    await wait(300);
    expect((await entries()).length).toBe(logged);
  });

  test('has whoever else is denied while one floods, and of many that flood no more than its limit', async () => {
    replaceFile(site.policyFile, policyOf([], 'logging: { rate: 5 }\n'));
    const daemon = await site.start();
    const flood = (source: string): readonly PacketDescription[] =>
      Array.from({ length: 1_000 }, () => packet(source, 9));
    const sources = async (): Promise<readonly string[]> => (await entries()).map(({ src }) => src);
    const began = performance.now();
    const quiet = ['10.1.0.2', '10.1.0.3', '10.9.9.9'];
    await send(quiet.flatMap((source) => [...flood('10.1.0.1'), packet(source, 9)]));
    const logged = await until('the quiet ones are logged', async () => {
      const all = await sources();
      return quiet.every((source) => all.includes(source)) && all;
    });
    expect(logged).toContain('10.1.0.1');
    // Each packet once, whichever of the two rules logged it.
    for (const source of quiet) expect(logged.filter((one) => one === source)).toHaveLength(1);
    await send(Array.from({ length: 3_000 }, (_, i) => packet(`10.2.${i >> 8}.${i & 255}`, 9)));
    const seconds = (performance.now() - began) / 1000;
    await wait(300);
    expect((await sources()).length).toBeLessThanOrEqual(10 + 5 * (seconds + 1));
    // What the kernel notes by itself is no change by others, and nothing that packets depend on.
    expect((await site.sgctl('verify')).exitCode).toBe(0);
    expect(await daemon.status()).toMatchObject({ state: 'enforced', driftsMended: 0, inForce: { generation: 1 } });
    expect(await site.nft('list', 'set', 'inet', 'secgroupd', 'recent/denied/ipv4')).toContain('10.1.0.2');
    await daemon.stop('SIGKILL');
    const next = await site.start();
    expect(await next.status()).toMatchObject({ driftsMended: 0, inForce: { generation: 1 } });
  });
});
