import { describe, expect, test } from 'vitest';
import type { Ruleset } from '#core/model/nft/ruleset.ts';
import { compile } from '#core/translate/4-compile/compile.ts';
import type { Shape } from '#core/translate/4-compile/compile-rule-list.ts';
import { portSegments, segmentedRuleCount } from '#core/translate/4-compile/port-segments.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { hostPolicyOf } from '../netns/enforce.ts';

function policyText(rules: readonly string[]): string {
  return `version: 1
securityGroups:
  app:
    inbound:
${rules.map((rule) => `      - ${rule}\n`).join('')}instances:
  host: { interfaces: { eth0: { securityGroups: [app] } } }
`;
}

async function compiled(rules: readonly string[], shape?: Shape): Promise<Ruleset> {
  return compile(await hostPolicyOf(policyText(rules)), hashContent, shape);
}

/** Rules that name so many groups in turn, each of one member, all of them for one port. */
function compiledGroups(groups: number, rules: number): Promise<Ruleset> {
  const name = (i: number): string => `g${i % groups}`;
  const action = (i: number): string => (Math.floor(i / 3) % 2 === 0 ? 'allow' : 'deny');
  const text = policyText(
    many(
      rules,
      (i) =>
        `{ action: ${action(i)}, priority: ${1 + (i % 90)}, type: ipv4, protocol: tcp, ports: 22, source: { securityGroup: ${name(i)} } }`,
    ),
  );
  const members = many(
    groups,
    (i) =>
      `  m${i}: { interfaces: { eth0: { addresses: [198.51.${i >> 8}.${i & 255}], securityGroups: [${name(i)}] } } }\n`,
  );
  const empty = many(groups, (i) => `  ${name(i)}: {}\n`).join('');
  return hostPolicyOf(`${text.replace('instances:', `${empty}instances:`)}${members.join('')}`).then((policy) =>
    compile(policy, hashContent),
  );
}

/** How many rules a packet can be asked about in one chain, at the most. */
function longestChain({ chains }: Ruleset): number {
  return Math.max(...chains.map(({ rules }) => rules.length));
}

function hasMaps({ sets }: Ruleset): boolean {
  return sets.some(({ kind }) => kind === 'addressMap' || kind === 'portMap');
}

const single = (i: number): string => `{ protocol: tcp, ports: ${1000 + i}, source: 192.0.2.${i % 250} }`;
const many = (count: number, rule: (i: number) => string): string[] => Array.from({ length: count }, (_, i) => rule(i));

describe('the chosen shape', () => {
  test.each([
    [12, false],
    [13, true],
  ])('of %d rules is a tree: %s', async (count, tree) => {
    expect(hasMaps(await compiled(many(count, single)))).toBe(tree);
  });

  test('asks no packet about more rules when there are a hundred times as many', async () => {
    const few = longestChain(await compiled(many(20, single)));
    expect(longestChain(await compiled(many(2_000, single)))).toBe(few);
    expect(longestChain(await compiled(many(2_000, single), 'linear'))).toBeGreaterThan(2_000);
  });

  test('settles overlapping addresses of one port in one lookup', async () => {
    const nested = many(
      200,
      (i) => `{ protocol: tcp, ports: 22, source: 10.0.0.0/${8 + (i % 24)}, priority: ${1 + (i % 90)} }`,
    );
    expect(longestChain(await compiled(nested))).toBeLessThan(15);
  });

  test('is bounded where ranges of ports overlap so much that a tree would not be', async () => {
    const wide = (count: number): string[] =>
      many(count, (i) => `{ protocol: tcp, ports: ${1 + i}-${40_000 + i}, source: 10.${i % 250}.0.0/16 }`);
    const bounded = await compiled(wide(700));
    // A rule's own chain, which counts, is one whatever the shape.
    expect(bounded.chains.filter(({ name }) => !name.startsWith('hit/')).length).toBeLessThan(30);
    expect(longestChain(bounded)).toBeGreaterThanOrEqual(700);
    expect(hasMaps(await compiled(wide(300)))).toBe(true);
  });

  test.each([
    [4, false],
    [5, true],
  ])('of rules about %d groups tells addresses apart by class: %s', async (count, byClass) => {
    const ruleset = await compiledGroups(count, 20);
    expect(ruleset.sets.some((set) => set.kind === 'addressMap' && set.dynamic)).toBe(byClass);
    expect(ruleset.sets.some(({ kind }) => kind === 'addresses')).toBe(!byClass);
  });

  test('asks a packet about no more when there are many more groups', async () => {
    const few = longestChain(await compiledGroups(10, 100));
    expect(longestChain(await compiledGroups(60, 600))).toBe(few);
  });

  test('looks into sets where classes would be more than is good', async () => {
    const ruleset = await compiledGroups(300, 600);
    expect(ruleset.sets.some((set) => set.kind === 'addressMap' && set.dynamic)).toBe(false);
    expect(ruleset.sets.filter(({ kind }) => kind === 'addresses')).toHaveLength(300);
  });

  test.each([
    ['is not counted', 'counters: false\n', false],
    ['is counted apart', '', true],
  ])('leaves an interval out that the rest of its segment says the same of, if it %s', async (_, accounts, isThere) => {
    const allowed = [
      ...many(20, (i) => `{ protocol: tcp, ports: 22, source: 10.${i}.0.0/24 }`),
      '{ protocol: tcp, ports: 22, source: any, priority: 2 }',
    ];
    const text = policyText(allowed).replace('securityGroups:', `${accounts}securityGroups:`);
    const { sets } = compile(await hostPolicyOf(text), hashContent);
    expect(sets.some(({ kind }) => kind === 'addressMap')).toBe(isThere);
  });

  test('is the same whenever it is compiled', async () => {
    const rules = many(300, single);
    expect(await compiled(rules)).toEqual(await compiled(rules));
  });
});

describe('segmentedRuleCount', () => {
  test('counts what portSegments makes', async () => {
    const { bindings } = await hostPolicyOf(
      policyText(['{ protocol: tcp, ports: "1-10,20", source: any }', '{ protocol: tcp, ports: 5-25, source: any }']),
    );
    const rules = bindings[0]?.inbound.filter(({ family }) => family === 'ipv4') ?? [];
    const segments = portSegments(rules);
    expect(segments.map(({ range, rules: counting }) => [range.from, range.to, counting.length])).toEqual([
      [1, 4, 1],
      [5, 10, 2],
      [11, 19, 1],
      [20, 20, 2],
      [21, 25, 1],
    ]);
    expect(segmentedRuleCount(rules)).toBe(segments.reduce((sum, segment) => sum + segment.rules.length, 0));
  });
});
