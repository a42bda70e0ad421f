import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { completionOf } from '#cli/commands/completion.ts';
import { explain } from '#cli/commands/explain.ts';
import { COMMANDS } from '#cli/commands.ts';
import { readPacketQuery } from '#cli/input/packet-query.ts';
import { formatTraffic, trafficToJson } from '#cli/present/format-traffic.ts';
import { comparePolicies } from '#core/meaning/compare/compare-policies.ts';
import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { formatPacket } from '#core/meaning/evaluate/packet-text.ts';
import { endpointOn, witnessOf } from '#core/meaning/headerspace/witness.ts';
import { lintPolicy } from '#core/meaning/lint/lint-policy.ts';
import { transportField } from '#core/meaning/verify/transport-field.ts';
import { FAMILIES } from '#core/model/net/address.ts';
import { scriptText } from '#core/model/nft/script.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import {
  FLOW_PROTOCOLS,
  icmpProtocol,
  PROTOCOL_WORDS,
  protocolName,
  REGISTERED_NUMBERS,
  selectorOf,
} from '#core/model/policy/protocol-lookup.ts';
import type * as Protocols from '#core/model/policy/protocols.ts';
import { NUMBERED_PROTOCOLS, PROTOCOLS, type ProtocolRow } from '#core/model/policy/protocols.ts';
import { policyJsonSchema } from '#core/read/1-parse/policy-json-schema.ts';
import { protocolHint } from '#core/read/2-analyze/protocol-hint.ts';
import { compile } from '#core/translate/4-compile/compile.ts';
import type { Shape } from '#core/translate/4-compile/compile-rule-list.ts';
import { renderChange } from '#core/translate/6-change/render-change.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { hostPolicyOf, policyOf } from '../netns/enforce.ts';
import { ranCommand } from './run-command.ts';

// Two protocols that the language has no words for get a row each. Every place must then know them by the table alone.
vi.mock('#core/model/policy/protocols.ts', async (original) => {
  const { withAddedProtocols } = await import('../added-protocols.ts');
  return withAddedProtocols(await original<typeof Protocols>());
});

const ROWS: readonly ProtocolRow[] = PROTOCOLS;
const PORTED = ROWS.filter(({ selector }) => selector === 'ports');
const SHAPES: readonly Shape[] = ['linear', 'segments', 'classes', 'chosen'];

function policyText(rules: readonly string[]): string {
  return `version: 1
securityGroups:
  app:
    inbound:
${rules.map((rule) => `      - ${rule}\n`).join('')}instances:
  host: { interfaces: { eth0: { securityGroups: [app] } } }
`;
}

/** Rules for ports from 3000 on, from one address each, but for the last, which is for everybody. */
function rulesFor(word: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const source = i === count - 1 ? 'any' : `192.0.2.${i + 1}`;
    return `{ protocol: ${word}, ports: ${3000 + i}, source: ${source} }`;
  });
}

function textFor(policy: HostPolicy, shape: Shape): string {
  const { change } = renderChange(compile(policy, hashContent, shape), undefined, hashContent);
  return change.transactions.map(({ script }) => scriptText(script)).join('');
}

function query(protocol: string, dport: number): Packet {
  const asked = { direction: 'inbound', protocol, src: '203.0.113.7', dst: '198.51.100.1', dport };
  return { ...readPacketQuery(asked, 'json'), interface: 'eth0' };
}

test('the table has the rows that this file adds', () => {
  expect(PORTED.map(({ name }) => name)).toEqual(['tcp', 'udp', 'sctp', 'udplite']);
});

describe('the table of protocols', () => {
  test('has each number and each word of nft once, and each word of a policy once a family', () => {
    for (const values of [ROWS.map(({ number }) => String(number)), ROWS.map(({ nft }) => nft)])
      expect(new Set(values).size).toBe(values.length);
    const named = ROWS.map((row) => `${row.name} ${row.selector === 'icmp' ? row.family : 'any'}`);
    expect(new Set(named).size).toBe(named.length);
  });

  test('has one ICMP for each family, and its number is none in the other', () => {
    expect(FAMILIES.map(icmpProtocol)).toEqual([1, 58]);
    expect(FAMILIES.map((family) => selectorOf(58, family))).toEqual(['none', 'icmp']);
    expect(FAMILIES.map((family) => protocolName(58, family))).toEqual(['protocol 58', 'icmpv6']);
  });

  test('revokes flows of TCP and UDP alone', () => {
    expect(FLOW_PROTOCOLS).toEqual([6, 17]);
  });

  test('agrees with the names of protocols that policies write by number', () => {
    for (const { number, names } of NUMBERED_PROTOCOLS)
      expect(names.map((name) => REGISTERED_NUMBERS[name])).toEqual(names.map(() => number));
    for (const { number, nft } of ROWS) expect(REGISTERED_NUMBERS[nft]).toBe(number);
  });

  test('is the only place with numbers of protocols', () => {
    const source = resolve(import.meta.dirname, '../../src');
    const found = readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('model/protocols.ts'))
      .flatMap((name) =>
        readFileSync(join(source, name), 'utf8')
          .split('\n')
          .filter((line) => BARE.test(line))
          .map((line) => `${name}: ${line.trim()}`),
      );
    expect(found).toEqual([]);
  });

  test.each([
    ['if (protocol === 6) return;', true],
    ['if (protocol !== 17 && more)', true],
    ["{ kind: 'ports', protocol: 6, ports }", true],
    ['protocols: [{ from: 6, to: 6 }]', true],
    ['seconds: Readonly<Record<6 | 17, number>>', true],
    ["const icmp = family === 'ipv4' ? 1 : 58;", true],
    ["{ kind: 'ports', protocol: TCP, ports }", false],
    ["family === 'ipv4' ? 4 : 16", false],
  ])('a number stands bare in %s: %s', (line, isBare) => {
    expect(BARE.test(line)).toBe(isBare);
  });
});

const BARE =
  /\bprotocols?(?:OfFlow\(\w*\))?(?: [!=]==|:) \d|protocols: \[\{ from: \d|\b6 \| 17\b|\b1 \| 58\b|\? 1 : 58\b/;

describe.each(ROWS.map((row) => [row.name, row] as const))('policies and programs know %s', (name, row) => {
  test('in the schema, in hints, in help and in completion', async () => {
    expect(PROTOCOL_WORDS).toContain(name);
    expect(JSON.stringify(policyJsonSchema())).toContain(JSON.stringify(PROTOCOL_WORDS));
    expect(protocolHint(name.toUpperCase())).toBe(`write \`${name}\``);
    expect(protocolHint('xyzzy')).toContain(`${name}, `);
    expect(explain.options['protocol']?.choices).toContain(name);
    expect(explain.options['protocol']?.help).toContain(name);
    const { out } = await ranCommand(
      completionOf(() => COMMANDS),
      ['bash'],
    );
    expect(out).toContain(
      `'explain --protocol') words='${ROWS.map((one) => one.name)
        .filter((one, i, all) => all.indexOf(one) === i)
        .join(' ')}'`,
    );
  });

  test('as a whole protocol', async () => {
    const policy = await hostPolicyOf(policyText([`{ protocol: ${name}, source: any }`]));
    const rules = policy.bindings[0]?.inbound ?? [];
    expect(rules.map(({ family, traffic }) => [family, traffic])).toEqual(
      FAMILIES.map((family) => [
        family,
        { kind: 'protocol', protocol: row.selector === 'icmp' ? icmpProtocol(family) : row.number },
      ]),
    );
  });
});

describe.each(PORTED.map((row) => [row.name, row] as const))('ports of %s', (name, { number, nft }) => {
  test('are read as ports, of its number', async () => {
    const policy = await hostPolicyOf(policyText(rulesFor(name, 1)));
    expect(policy.bindings[0]?.inbound.map(({ traffic }) => traffic)).toEqual(
      FAMILIES.map(() => ({ kind: 'ports', protocol: number, ports: [{ from: 3000, to: 3000 }] })),
    );
    const byNumber = await hostPolicyOf(policyText(rulesFor(String(number), 1)));
    expect(byNumber.bindings[0]?.inbound.map(({ traffic }) => traffic)).toEqual(
      policy.bindings[0]?.inbound.map(({ traffic }) => traffic),
    );
  });

  test.each(SHAPES.flatMap((shape) => [1, 2, 21].map((count) => [shape, count] as const)))(
    'are compiled as no more than they say: %s, %d rules',
    async (shape, count) => {
      const policy = await hostPolicyOf(policyText(rulesFor(name, count)));
      const ruleset = compile(policy, hashContent, shape);
      const matches = ruleset.chains.flatMap(({ rules }) => rules.flatMap((rule) => [...rule.matches, rule.verdict]));
      const ported = matches.filter((one) => 'protocol' in one && (one.kind === 'port' || one.kind === 'portMap'));
      // DHCP has ports of UDP, whatever the rules are.
      const ownPorts = ported.filter((one) => one.kind === 'portMap' || !('from' in one.port) || one.port.from >= 3000);
      expect(ownPorts.length).toBeGreaterThan(0);
      expect(ownPorts.map((one) => 'protocol' in one && one.protocol)).toEqual(ownPorts.map(() => number));
      const text = textFor(policy, shape);
      const lines = text.split('\n').filter((line) => /(?<! th) dport (?:3\d{3}|vmap|@)/.test(line));
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect(line).toContain(`${nft} dport `);
      // Where its number alone is asked for, a chain with ports follows, and no verdict.
      for (const line of text.split('\n').filter((one) => one.includes(`meta l4proto ${number} `)))
        expect(line).not.toMatch(/ accept| goto admit/);
    },
  );

  test.each([2, 21])('are judged one by one: %d rules', async (count) => {
    const policy = await hostPolicyOf(policyText(rulesFor(name, count)));
    const last = 2999 + count;
    const verdicts = PORTED.map((other) => [other.name, evaluate(policy, query(other.name, last)).verdict]);
    expect(verdicts).toEqual(PORTED.map((other) => [other.name, other.name === name ? 'allow' : 'deny']));
    for (const port of [3000, last - 1, last + 1]) expect(evaluate(policy, query(name, port)).verdict).toBe('deny');
  });

  test('are told apart where policies differ', async () => {
    const [before, after] = [
      await hostPolicyOf(policyText(rulesFor(name, 1))),
      await hostPolicyOf(policyText([`{ protocol: ${name}, ports: 3000-3001, source: any }`])),
    ];
    const differences = comparePolicies(before, after);
    expect(differences.map(({ traffic, family }) => formatTraffic(traffic, family))).toEqual(
      FAMILIES.map(() => `${nft} 3001`),
    );
    for (const difference of differences) {
      const { traffic, family } = difference;
      expect(traffic === 'all' ? traffic : traffic.map((one) => trafficToJson(one, family))).toEqual([
        { protocols: String(number), parts: '3001' },
      ]);
      const witness = witnessOf(difference, endpointOn('eth0', after, family));
      expect(formatPacket(witness)).toContain(`${nft} 3001 from`);
      expect([before, after].map((policy) => evaluate(policy, witness).verdict)).toEqual(['deny', 'allow']);
    }
  });

  test('are known where a table is read back', () => {
    expect([transportField(`${nft}.sport`), transportField(`${nft}.dport`)]).toEqual([
      { kind: 'port', protocol: number, end: 'source' },
      { kind: 'port', protocol: number, end: 'destination' },
    ]);
  });

  test('hide a rule for them behind one for more of them, and none of another protocol', async () => {
    const all = `{ protocol: ${name}, source: any, priority: 1 }`;
    const hidden = async (word: string): Promise<readonly string[]> => {
      const policy = await policyOf(policyText([all, `{ protocol: ${word}, ports: 3000, source: any, priority: 2 }`]));
      return lintPolicy(policy)
        .findings.map(({ code }) => code)
        .filter((code) => code === 'shadowed-rule');
    };
    for (const other of PORTED)
      expect([other.name, await hidden(other.name)]).toEqual([
        other.name,
        other.name === name ? ['shadowed-rule'] : [],
      ]);
  });

  describe('in explain', () => {
    let directory: string;
    let file: string;

    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'protocols-'));
      file = join(directory, 'policy.yaml');
      await writeFile(file, policyText(rulesFor(name, 2)));
    });
    afterAll(() => rm(directory, { recursive: true }));

    test.each([
      [3001, 'allow'],
      [3002, 'deny'],
    ])('to %d: %s', async (port, verdict) => {
      const words = `--policy ${file} --instance host --direction inbound --src 203.0.113.7 --dst 198.51.100.1`;
      const args = [...words.split(' '), '--protocol', name, '--dport', String(port)];
      const { out } = await ranCommand(explain, args);
      expect(out).toMatch(new RegExp(`^${verdict} {2}.*new ${nft}(?: connection)? from 203.0.113.7 port 50000`));
    });
  });
});

test('ports of a protocol without any are refused, with the words of those that have some', async () => {
  await expect(policyOf(policyText(['{ protocol: gre, ports: 3000, source: any }']))).rejects.toThrow('has no ports');
});
