import { FAMILIES } from '#core/model/net/address.ts';
import type { Binding, HostPolicy, OrderedRules } from '#core/model/policy/host.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import { ICMP_ERRORS, OWN_ADDRESS, PLATFORM_FLOWS, type PlatformFlow } from '#core/model/policy/platform.ts';
import type { InvalidPackets } from '#core/model/policy/policy.ts';
import { admitChain, OPENED_CHAIN } from '#core/model/nft/label-chains.ts';
import { objectName } from '#core/model/nft/object-name.ts';
import { REVOKED_CHAIN } from '#core/model/nft/revoked-flows.ts';
import type { Direction, Rule } from '#core/model/policy/rule.ts';
import type { Match, NftChain, NftRule, Ruleset, SimpleVerdict } from '#core/model/nft/ruleset.ts';
import { type PacketRole, platformMatches } from './match-terms.ts';
import { builtIn } from './built-in-rule.ts';
import { dispatchRules, ruleChain, membersChain, tellsMembers, TO_VRF, toLive } from './dispatch.ts';
import { OWN_ADDRESS_CHAIN, ownAddressChains, ownAddressRules } from './own-address.ts';
import { classesFor } from './group-shape.ts';
import { sharedByLogRules } from './log-rules.ts';
import {
  counterChains,
  isCounted,
  defaultChain,
  type RuleCounters,
  ruleCounters,
  type Verdicts,
} from './logging-and-counters.ts';
import { compileRules } from './rule-chains.ts';
import { ruleTree } from './rule-tree.ts';
import { type ClassifiedTree, compileSegments, type SegmentContext, type CompiledRules } from './segment-chains.ts';
import { createSetRegistry, entriesOf, type SetRegistry } from './set-registry.ts';
import { FLOW_PROTOCOLS, ICMP_PROTOCOLS, isOfDatagrams } from '#core/model/policy/protocol-lookup.ts';
import { ICMPV6 } from '#core/model/policy/protocols.ts';

/** What judges the packets of one or more interfaces, and the names its chains have. */
interface RuleChainSet extends OrderedRules {
  readonly key: string;
  /** The interfaces; none are those that the policy does not name. */
  readonly patterns: readonly string[];
  readonly invalid: InvalidPackets;
}

/**
 * How rules become lookups: one nft rule after the other, cheapest for a few; or segments, whose cost does not grow with
 * the rules; or segments for each class of addresses, whose cost does not grow with the groups either. `chosen` takes
 * the cheapest for each list of rules.
 */
export type Shape = 'linear' | 'segments' | 'classes' | 'chosen';

/** Up to this many rules, asking one after the other is cheaper (measured: 2,480 against 2,640 ns at 10 rules). */
const FEW_RULES = 12;

/** The ruleset that does to every packet what `policy` says. */
export function compile(policy: HostPolicy, shape: Shape = 'chosen'): Ruleset {
  const sets = createSetRegistry(policy);
  const names = chainNames(policy.bindings);
  const all = chainSetsOf(policy);
  const unmanaged = all.find((chainSet) => chainSet === UNMANAGED);
  // Where all interfaces but open ones have one judge, it does not matter by which of them a flow comes that it has judged.
  const labels = policy.flowLabels !== false;
  const alone = labels && all.length === 1 && unmanaged === undefined ? all[0] : undefined;
  const dispatch = (direction: Direction): NftRule[] =>
    dispatchRules({ direction, policy, names, unmanaged: unmanaged?.key, alone: alone?.key });
  const compiled = all.map((chainSet) =>
    compileChainSet(chainSet, policy, { sets, shape, labels, liveAhead: alone !== undefined }),
  );
  const chains: readonly NftChain[] = [
    platformChain(policy, 'inbound'),
    platformChain(policy, 'outbound'),
    ...(compiled.length === 0 ? [] : [REVOKED]),
    ...ownAddressChains(policy),
    ...compiled.flatMap((one) => one.chains),
    ...(tellsMembers(policy) ? [membersChain(policy, names)] : []),
    { name: 'input', hook: 'input', rules: dispatch('inbound') },
    { name: 'output', hook: 'output', rules: dispatch('outbound') },
  ];
  return {
    sets: [...sets.all(), ...compiled.flatMap(({ maps }) => maps)],
    chains,
    ...sharedByLogRules(policy),
    chainSets: labels ? all.map(({ key }) => key) : [],
  };
}

/** What a chain that counts and logs is about. */
export type CountingChain =
  | { readonly kind: 'rule'; readonly direction: Direction; readonly rule: Rule; readonly isCounted: boolean }
  /** Built-in traffic that is denied. */
  | { readonly kind: 'platform'; readonly direction: 'inbound'; readonly name: typeof OWN_ADDRESS }
  /** What no rule is about, on these interfaces. */
  | { readonly kind: 'default'; readonly direction: Direction; readonly patterns: readonly string[] };

/** What the chains are about that count and log, by the names they have in the ruleset; for rules without a chain too. */
export function countingChains(policy: HostPolicy): ReadonlyMap<string, CountingChain> {
  const accounts = new Map<string, CountingChain>();
  if (policy.platform.ownAddress)
    accounts.set(OWN_ADDRESS_CHAIN, { kind: 'platform', direction: 'inbound', name: OWN_ADDRESS });
  for (const chainSet of chainSetsOf(policy)) {
    for (const direction of DIRECTIONS) {
      const rules = [...policy.management[direction], ...chainSet[direction]];
      const counted = isCounted(policy.accounts, rules);
      for (const { name, rule } of counterChains(chainSet.key, direction, rules))
        accounts.set(name, { kind: 'rule', direction, rule, isCounted: counted });
      accounts.set(defaultChain(chainSet.key, direction), { kind: 'default', direction, patterns: chainSet.patterns });
    }
  }
  return accounts;
}

const DIRECTIONS: readonly Direction[] = ['inbound', 'outbound'];

/** Who judges packets, each once; last, where they are denied, who judges those on interfaces that the policy does not name. */
function chainSetsOf(policy: HostPolicy): readonly RuleChainSet[] {
  const names = chainNames(policy.bindings);
  const chainSets = new Map<string, RuleChainSet & { readonly patterns: string[] }>();
  for (const binding of policy.bindings) {
    const key = names.get(binding);
    if (key === undefined) continue;
    const chainSet = chainSets.get(key) ?? { ...binding, key, patterns: [] };
    chainSets.set(key, chainSet);
    chainSet.patterns.push(binding.pattern);
  }
  const unmanaged: readonly RuleChainSet[] = policy.unmanagedInterfaces === 'deny' ? [UNMANAGED] : [];
  return [...chainSets.values(), ...unmanaged];
}

const UNMANAGED: RuleChainSet = { key: 'unmanaged', patterns: [], invalid: 'drop', inbound: [], outbound: [] };

/** The name of the chains that judge each binding; bindings with the same groups share theirs. */
function chainNames(bindings: readonly Binding[]): ReadonlyMap<Binding, string> {
  const byMeaning = new Map<string, string>();
  const taken = new Set<string>(['unmanaged']);
  // What the policy names first: its chains keep their names, and their counts, when other interfaces come to share them.
  const inOrder = [...bindings].sort((a, b) => Number(a.by !== undefined) - Number(b.by !== undefined));
  return new Map(
    inOrder.map((binding) => {
      const meaning = `${binding.invalid} ${binding.groups.join(' ')}`;
      const name = byMeaning.get(meaning) ?? freeName(binding.pattern, taken);
      byMeaning.set(meaning, name);
      taken.add(name);
      return [binding, name];
    }),
  );
}

/** A name for chains that nft can read back, after the interface: nft's identifiers have letters, digits, `_`, `.` and `-`. */
function freeName(pattern: InterfacePattern, taken: ReadonlySet<string>): string {
  const base = (pattern === '*' ? 'any' : pattern.replace(/\*$/, '-any')).replace(/[^A-Za-z0-9_.-]/g, '_');
  let name = base;
  for (let n = 2; taken.has(name); n += 1) name = `${base}.${n}`;
  return name;
}

interface ChainSetOptions {
  readonly sets: SetRegistry;
  readonly shape: Shape;
  readonly labels: boolean;
  /** Whether packets of flows that were judged already never come to the judge's chains. */
  readonly liveAhead: boolean;
}

function compileChainSet(
  chainSet: RuleChainSet,
  policy: HostPolicy,
  options: ChainSetOptions,
): Omit<CompiledRules, 'rules'> {
  const { key } = chainSet;
  const names = {
    in: ruleChain('inbound', key),
    out: ruleChain('outbound', key),
    reply: objectName('reply', key),
    stateIn: objectName('state', 'in', key),
    stateOut: objectName('state', 'out', key),
  };
  const invalid = chainSet.invalid === 'drop' ? [INVALID] : [];
  const incoming = prepareRules([...policy.management.inbound, ...chainSet.inbound], policy, options.shape);
  const outgoing = prepareRules([...policy.management.outbound, ...chainSet.outbound], policy, options.shape);
  const { accounts } = policy;
  const allowBy = (chain: string): SimpleVerdict => (options.labels ? { kind: 'goto', chain } : { kind: 'accept' });
  const admit = allowBy(admitChain(key));
  const opened = allowBy(OPENED_CHAIN);
  const accept: SimpleVerdict = { kind: 'accept' };
  const ins = ruleCounters({ accounts, chainSet: key, direction: 'inbound', rules: incoming.rules, allow: admit });
  const outs = ruleCounters({ accounts, chainSet: key, direction: 'outbound', rules: outgoing.rules, allow: accept });
  const inbound = compileRuleList(incoming, names.in, 'inbound', { ...options, accounts: ins, allow: admit });
  const reply = compileRuleList(incoming, names.reply, 'replyToInbound', { ...options, accounts: ins, allow: admit });
  const outbound = compileRuleList(outgoing, names.out, 'outbound', { ...options, accounts: outs, allow: accept });
  const live = !options.labels || options.liveAhead ? [] : [toLive(key)];
  const chains: readonly NftChain[] = [
    ...inbound.chains,
    ...reply.chains,
    ...outbound.chains,
    ...ins.chains(),
    ...outs.chains(),
    { name: names.stateIn, hook: undefined, rules: [...replyOfOutbound(opened), ...relatedRules(policy)] },
    {
      name: names.in,
      hook: undefined,
      rules: [
        ...live,
        toState(names.stateIn),
        ...platformRules(policy, 'inbound'),
        ...ownAddressRules(policy),
        ...invalid,
        ...inbound.rules,
        builtIn([], ins.otherwise, 'default'),
      ],
    },
    { name: names.reply, hook: undefined, rules: reply.rules },
    {
      name: names.stateOut,
      hook: undefined,
      rules: [
        liveOutbound(opened),
        ...relatedRules(policy),
        builtIn(
          [
            { kind: 'state', state: 'established' },
            { kind: 'flowDirection', direction: 'reply' },
          ],
          { kind: 'jump', chain: names.reply },
          'state:reply passes if the inbound rules allow its flow now',
        ),
      ],
    },
    {
      name: names.out,
      hook: undefined,
      rules: [
        ...live,
        toState(names.stateOut),
        TO_VRF,
        ...platformRules(policy, 'outbound'),
        ...invalid,
        ...TO_REVOKED,
        ...outbound.rules,
        builtIn([], outs.otherwise, 'default'),
      ],
    },
  ];
  return { chains, maps: [...inbound.maps, ...reply.maps, ...outbound.maps] };
}

/** Rules in deciding order and, where they are many, what they are looked up by. */
interface PreparedRules {
  readonly rules: readonly Rule[];
  readonly trees: readonly ClassifiedTree[] | undefined;
  readonly resolutions: SegmentContext['resolutions'];
}

function prepareRules(rules: readonly Rule[], policy: HostPolicy, shape: Shape): PreparedRules {
  if (shape === 'linear' || (shape === 'chosen' && rules.length <= FEW_RULES))
    return { rules, trees: undefined, resolutions: new Map() };
  const trees = FAMILIES.flatMap((family): ClassifiedTree[] => {
    const tree = ruleTree(rules, family);
    if (tree === undefined) return [];
    const classes =
      shape === 'segments'
        ? undefined
        : classesFor(tree, (remote) => entriesOf(policy, remote, family), { always: shape === 'classes' });
    return [{ tree, classes }];
  });
  return { rules, trees, resolutions: new Map() };
}

interface RuleListOptions extends Pick<ChainSetOptions, 'sets'> {
  readonly accounts: RuleCounters;
  readonly allow: SimpleVerdict;
}

/** Rules in the shape that suits them; a packet that none matches goes on behind them. */
function compileRuleList(
  { rules, trees, resolutions }: PreparedRules,
  name: string,
  role: PacketRole,
  { sets, accounts, allow }: RuleListOptions,
): CompiledRules {
  if (trees === undefined) {
    // A reply that a rule denies returns: the host may still send what its outbound rules let it open by itself.
    const plain: Verdicts = { allow, deny: role === 'replyToInbound' ? { kind: 'return' } : accounts.deny };
    const verdicts = accounts.verdicts(plain);
    return { rules: compileRules(rules, { role, sets, verdicts }), chains: [], maps: [] };
  }
  // Behind inbound segments there is nothing but the default, which drops. So a denial is to return there as it is for
  // replies, and both look into the same maps.
  const verdicts = accounts.verdicts({ allow, deny: role === 'outbound' ? accounts.deny : { kind: 'return' } });
  return compileSegments(trees, name, { role, sets, verdicts, resolutions });
}

/**
 * Built-in traffic, told from other packets by what costs least: ICMPv6 by its protocol, in a chain of its own, IGMP by
 * its protocol too, DHCP by the port.
 */
function platformRules({ platform }: HostPolicy, direction: Direction): readonly NftRule[] {
  const flows = PLATFORM_FLOWS.filter((flow) => flow.direction === direction && platform[flow.name]);
  const rules = flows.filter(({ match }) => match.kind !== 'icmpv6').flatMap(platformRulesOf);
  if (!flows.some(({ match }) => match.kind === 'icmpv6')) return rules;
  const chain = platformChainName(direction);
  return [builtIn([{ kind: 'protocol', protocol: ICMPV6 }], { kind: 'jump', chain }, 'platform'), ...rules];
}

function platformChain({ platform }: HostPolicy, direction: Direction): NftChain {
  const flows = PLATFORM_FLOWS.filter((flow) => flow.direction === direction && platform[flow.name]);
  const rules = flows.filter(({ match }) => match.kind === 'icmpv6').flatMap(platformRulesOf);
  return { name: platformChainName(direction), hook: undefined, rules };
}

function platformRulesOf(flow: PlatformFlow): readonly NftRule[] {
  return platformMatches(flow).map((matches) => builtIn(matches, { kind: 'accept' }, `platform:${flow.name}`));
}

function platformChainName(direction: Direction): string {
  return objectName('platform', direction === 'inbound' ? 'in' : 'out');
}

/** One test spares packets of new flows those for live ones; what is not settled there comes back. */
function toState(chain: string): NftRule {
  return builtIn([{ kind: 'state', state: 'establishedOrRelated' }], { kind: 'jump', chain }, 'state');
}

/**
 * A live flow that the host opened: what comes back passes whatever the inbound rules say. Of what the host sends to a
 * broadcast address it gets a copy itself, which can be the answer to a flow that was opened from outside: let in as
 * ever, it must not tell of its flow that the host opened it.
 */
function replyOfOutbound(opened: SimpleVerdict): readonly NftRule[] {
  const matches: readonly Match[] = [
    { kind: 'state', state: 'established' },
    { kind: 'flowDirection', direction: 'reply' },
  ];
  return [
    builtIn([...matches, { kind: 'fromAnother' }], opened, 'state:reply'),
    builtIn(matches, { kind: 'accept' }, 'state:reply'),
  ];
}

/** A live flow that the host opened: changes of the outbound rules spare it. */
function liveOutbound(verdict: SimpleVerdict): NftRule {
  return builtIn(
    [
      { kind: 'state', state: 'established' },
      { kind: 'flowDirection', direction: 'original' },
    ],
    verdict,
    'state:established',
  );
}

/**
 * ICMP errors about tracked flows, before any deny rule, for path-MTU discovery; and where the policy trusts helpers, the
 * flows that they announce, which begin as related and go on as established. What else is related is judged as new.
 */
function relatedRules({ platform }: HostPolicy): readonly NftRule[] {
  const errors = ICMP_PROTOCOLS.map((protocol) =>
    builtIn(
      [
        { kind: 'state', state: 'related' },
        { kind: 'icmp', protocol, types: ICMP_ERRORS[protocol], code: 'any' },
      ],
      { kind: 'accept' },
      'state:related',
    ),
  );
  return platform.helpers
    ? [...errors, builtIn([{ kind: 'expected' }], { kind: 'accept' }, 'platform:helpers')]
    : errors;
}

const INVALID: NftRule = {
  ...builtIn([{ kind: 'state', state: 'invalid' }], { kind: 'drop' }, 'state:invalid'),
  counted: true,
};

/** A packet that opens what conntrack knows no flow of may belong to one that was revoked; the rules judge all others. */
const TO_REVOKED: readonly NftRule[] = [
  // A new connection's first segment is looked up nowhere: it belongs to nothing that was before.
  builtIn([{ kind: 'midstream' }], { kind: 'jump', chain: REVOKED_CHAIN }, 'state:revoked'),
  ...FLOW_PROTOCOLS.filter(isOfDatagrams).map((protocol) =>
    builtIn(
      [
        { kind: 'protocol', protocol },
        { kind: 'state', state: 'new' },
      ],
      { kind: 'jump', chain: REVOKED_CHAIN },
      'state:revoked',
    ),
  ),
];

const REVOKED: NftChain = {
  name: REVOKED_CHAIN,
  hook: undefined,
  rules: FAMILIES.map((family) => ({
    ...builtIn([{ kind: 'revoked', family }], { kind: 'drop' }, 'state:revoked'),
    counted: true,
  })),
};
