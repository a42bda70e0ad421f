import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { NftChain, Ruleset } from '#core/model/nft/ruleset.ts';
import { compile } from '#core/translate/4-compile/compile.ts';
import type { Shape } from '#core/translate/4-compile/compile-rule-list.ts';
import { countingChains } from '#core/translate/4-compile/counting-chains.ts';
import { TABLE_NAMES } from '#core/translate/5-render/names.ts';
import { renderRuleset } from '#core/translate/5-render/render-objects.ts';
import { kernelNames, planNames } from '#core/translate/6-change/plan-names.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { hostPolicyOf } from '../netns/enforce.ts';

/** The words that names of chains, sets and maps are made of: who would mix two up puts these into names of the policy. */
const WORDS = [
  ...['in', 'out', 'reply', 'state', 'live', 'admit', 'hit', 'none', 'platform', 'management', 'opened', 'applied'],
  ...['group', 'list', 'ports', 'hosts', 'ranges', 'addresses', 'narrow', 'wide', 'first', 'rest', 'all', 'any'],
  ...['eth0', 'web', 'unmanaged', 'input', 'output', 'ipv4', 'ipv6', '6', '17', '22-22', 'after1', 'g1', 'g5', '2'],
];

const WORD = fc.constantFrom(...WORDS);
const JOINED = fc
  .tuple(fc.array(WORD, { minLength: 1, maxLength: 4 }), fc.constantFrom('.', '-', '_', ''))
  .map(([words, joint]) => words.join(joint));
const INTERFACE = fc
  .oneof(
    JOINED,
    JOINED.map((name) => `${name.slice(0, 14)}*`),
    fc.string({ unit: fc.constantFrom(...'eth0.@+=~-_'.split('')), minLength: 1, maxLength: 15 }),
  )
  .map((name) => (name.endsWith('*') ? name : name.slice(0, 15)))
  .filter((name) => !/^\.{1,2}$|^lo$|^all$|^default$|.@./.test(name));
const GROUP = JOINED.map((name) => name.slice(0, 64));

const CASE = fc.record({
  interfaces: fc.uniqueArray(INTERFACE, { minLength: 2, maxLength: 6 }),
  groups: fc.uniqueArray(GROUP, { minLength: 2, maxLength: 4 }),
  lists: fc.uniqueArray(GROUP, { minLength: 1, maxLength: 2 }),
  many: fc.boolean(),
});

interface Names {
  readonly interfaces: readonly string[];
  readonly groups: readonly string[];
  readonly lists: readonly string[];
  readonly many: boolean;
}

/** Every interface has another list of groups, so that each has chains of its own. */
function policyText({ interfaces, groups, lists, many }: Names): string {
  const rule = (n: number): unknown => ({
    protocol: 'tcp',
    ports: n % 3 === 0 ? '22,8000-8999' : 7_000 + n,
    source:
      n % 4 === 0
        ? { securityGroup: groups[n % groups.length] }
        : n % 4 === 1
          ? { addressGroup: lists[n % lists.length] }
          : `192.0.2.${n}`,
  });
  const rules = Array.from({ length: many ? 15 : 2 }, (_, n) => rule(n));
  const bound = interfaces.map((name, i) => {
    const own = groups.filter((_, g) => ((i + 1) >> g) % 2 === 1);
    return [name, { securityGroups: own, ...(i % 2 === 0 ? {} : { invalid: 'match' }) }];
  });
  return JSON.stringify({
    version: 1,
    unmanagedInterfaces: 'deny',
    platform: { management: [rule(2), rule(2)] },
    addressGroups: Object.fromEntries(lists.map((name) => [name, { addresses: ['10.0.0.0/8', '192.0.2.1'] }])),
    securityGroups: Object.fromEntries(groups.map((name) => [name, { inbound: rules }])),
    instances: { host: { interfaces: Object.fromEntries(bound) } },
  });
}

/** Names of chains, and of sets and maps, as the kernel gets them. */
function namesOf(ruleset: Ruleset): { readonly kernel: readonly string[]; readonly ruleset: readonly string[] } {
  const rendered = renderRuleset(ruleset);
  const { rendered: named } = planNames(rendered, 'structure', undefined);
  const all = [...named.objects.keys(), ...named.dynamic.keys()];
  return { kernel: all.map(kernelNames(named)), ruleset: all };
}

function expectNoTwoAlike(names: readonly string[]): void {
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
}

const SHAPES: readonly Shape[] = ['linear', 'segments', 'classes', 'chosen'];

describe('names of chains, sets and maps', () => {
  it('are never the same for two, whatever interfaces and groups are called, and nft reads them', async () => {
    await fc.assert(
      fc.asyncProperty(CASE, async (names) => {
        const hostPolicy = await hostPolicyOf(policyText(names));
        for (const shape of SHAPES) {
          const ruleset = compile(hostPolicy, hashContent, shape);
          expectNoTwoAlike([...ruleset.chains, ...ruleset.sets].map(({ name }) => name));
          const { kernel, ruleset: own } = namesOf(ruleset);
          expectNoTwoAlike(kernel);
          // nft's identifiers (scanner.l), and the kernel's NFT_NAME_MAXLEN.
          for (const name of kernel) expect(name).toMatch(/^[a-z][A-Za-z0-9/_.-]{0,254}$/);
          expect(kernel.map(TABLE_NAMES.parseName)).toEqual(own);
        }
      }),
      { numRuns: Math.ceil(Number(process.env['PROPERTY_RUNS'] ?? '100') / 4) },
    );
  });

  test('of what counts and logs are one for each rule of each interface', async () => {
    const hostPolicy = await hostPolicyOf(
      policyText({
        interfaces: ['eth0', 'eth0.10'],
        groups: ['web', '10.web', 'management'],
        lists: ['l'],
        many: false,
      }),
    );
    const accounts = countingChains(hostPolicy, hashContent);
    const rules = [...accounts.values()].filter(({ kind }) => kind === 'rule');
    // Two management rules on each of two interfaces and on those that the policy does not name; then those of the groups,
    // a rule about a group or a list in both families.
    expect(rules.length).toBe(
      3 * hostPolicy.management.inbound.length +
        hostPolicy.bindings.reduce((sum, { inbound }) => sum + inbound.length, 0),
    );
  });

  test('labels of an interface whose name looks like a generation keep it', () => {
    expect(TABLE_NAMES.parseName('live/x.g5')).toBe('live/x.g5');
    expect(TABLE_NAMES.parseGeneration('admit/g5')).toBeUndefined();
    expect(TABLE_NAMES.parseGeneration('in/g5/g12')).toBe(12);
  });

  test('of an earlier version, joined by dots, tell their generation', () => {
    expect(TABLE_NAMES.parseGeneration('in.eth0.g12')).toBe(12);
    expect(TABLE_NAMES.parseGeneration('live.eth0')).toBeUndefined();
  });

  test.each<[string, Partial<Ruleset>]>([
    ['two chains', { chains: [chain('a'), chain('a')] }],
    ['a chain and a set', { chains: [chain('a')], sets: [{ kind: 'ports', name: 'a', ports: [{ from: 1, to: 1 }] }] }],
  ])('%s of one name are not rendered', (_, objects) => {
    const ruleset: Ruleset = { sets: [], chains: [], limits: [], recent: [], chainSets: [], ...objects };
    expect(() => renderRuleset(ruleset)).toThrow('two objects of a ruleset are called a');
  });
});

function chain(name: string): NftChain {
  return { name, hook: undefined, rules: [] };
}
