import { isWholeFamily } from '../model/interval.ts';
import type { Family } from '../model/address.ts';
import { formatRuleName, type Rule } from '../model/rule.ts';
import type { Match, NftChain, NftRule, NftSet, NftVerdict, SimpleVerdict } from '../model/ruleset.ts';
import { compileRules, verdictOf } from './rule-chains.ts';
import { type Aspect, PORT_END, REMOTE_END } from './match-terms.ts';
import { type PortSegment, portSegments, segmentedRuleCount } from './port-segments.ts';
import { type RemoteClause, type Resolution, resolveAddresses } from './resolve-addresses.ts';
import type { SetRegistry } from './set-registry.ts';

/** Ports of a range up to this long stand one by one in a hash map, whose lookup is cheaper than that of ranges. */
const LONGEST_EXPANDED = 8;

/** A segment repeats what holds for all ports, to be settled in one lookup, as long as that is no more than this. */
const MOST_REPEATED = 64;

/**
 * Ranges of ports that overlap a lot make more segments times rules than anybody has memory for. Beyond so many, rules
 * of one protocol and family stay one after the other: slow, and bounded.
 */
const MOST_SEGMENTED = 400_000;

/** The chains and maps that rules are compiled to, beside the rules that lead to them. */
export interface Segments {
  readonly rules: readonly NftRule[];
  readonly chains: readonly NftChain[];
  readonly maps: readonly NftSet[];
}

interface Context {
  readonly aspect: Aspect;
  readonly sets: SetRegistry;
  readonly chains: NftChain[];
  readonly maps: NftSet[];
  /** Names of chains by what they do, so that equal segments share one. */
  readonly shared: Map<string, string>;
}

/**
 * Rules in deciding order as a tree of lookups: by family, protocol and port to a segment, in which overlaps of
 * addresses were resolved beforehand. What a packet costs does not grow with the rules. Where none matches, the packet
 * comes back to the rule behind `rules`.
 */
export function compileSegments(
  rules: readonly Rule[],
  name: string,
  { aspect, sets }: { aspect: Aspect; sets: SetRegistry },
): Segments {
  const context: Context = { aspect, sets, chains: [], maps: [], shared: new Map() };
  const entries = (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const own = rules.filter((rule) => rule.family === family);
    if (own.length === 0) return [];
    const chain = familyChain(own, `${name}.${family}`, family, context);
    return [builtIn([{ kind: 'family', family }], { kind: 'jump', chain }, family)];
  });
  return { rules: entries, chains: context.chains, maps: context.maps };
}

function familyChain(rules: readonly Rule[], name: string, family: Family, context: Context): string {
  const protocols = [...new Set(rules.flatMap(({ traffic }) => (traffic.kind === 'all' ? [] : [traffic.protocol])))];
  const entries = protocols
    .toSorted((a, b) => a - b)
    .map((protocol) => {
      const counting = rules.filter(({ traffic }) => traffic.kind === 'all' || traffic.protocol === protocol);
      return { protocol, chain: protocolChain(counting, `${name}.${protocol}`, { family, protocol }, context) };
    });
  const rest = segmentChain(
    rules.filter(({ traffic }) => traffic.kind === 'all'),
    `${name}.all`,
    family,
    context,
  );
  const dispatch: readonly NftRule[] =
    entries.length === 0 ? [] : [builtIn([], { kind: 'protocolMap', entries }, 'protocol')];
  return addChain(context, name, [...dispatch, builtIn([], { kind: 'goto', chain: rest }, 'any other protocol')]);
}

function protocolChain(
  rules: readonly Rule[],
  name: string,
  key: { family: Family; protocol: number },
  context: Context,
): string {
  // ICMP has few types, and rules for it are few: they stay in order.
  if (rules.some(({ traffic }) => traffic.kind === 'icmp')) {
    return addChain(context, name, compileRules(rules, context.aspect, context.sets));
  }
  if (key.protocol !== 6 && key.protocol !== 17) return segmentChain(rules, name, key.family, context);
  const firstWithPorts = rules.findIndex(({ traffic }) => traffic.kind === 'ports');
  if (firstWithPorts < 0) return segmentChain(rules, name, key.family, context);
  if (segmentedRuleCount(rules) > MOST_SEGMENTED) {
    return addChain(context, name, compileRules(rules, context.aspect, context.sets));
  }
  // What comes before all rules with ports, as a list of addresses that are denied everything does, is settled first.
  const ahead = rules.slice(0, firstWithPorts);
  const dispatch = portDispatch(rules.slice(firstWithPorts), name, { ...key, protocol: key.protocol }, context);
  return addChain(context, name, [...segmentRules(ahead, `${name}.first`, key.family, context), ...dispatch]);
}

function portDispatch(
  rules: readonly Rule[],
  name: string,
  { family, protocol }: { family: Family; protocol: 6 | 17 },
  context: Context,
): readonly NftRule[] {
  const base = rules.filter(({ traffic }) => traffic.kind !== 'ports');
  const rest = segmentChain(base, `${name}.rest`, family, context);
  const place = new Map(rules.map((rule, index) => [rule, index]));
  const targets = portSegments(rules.filter(({ traffic }) => traffic.kind === 'ports')).map((segment) => ({
    segment,
    chain: oneSegment(segment, { place, base, rest, name, family }, context),
  }));
  const end = PORT_END[context.aspect];
  const narrow = targets.filter(({ segment: { range } }) => range.to - range.from < LONGEST_EXPANDED);
  const wide = targets.filter(({ segment: { range } }) => range.to - range.from >= LONGEST_EXPANDED);
  const element = ({ segment, chain }: (typeof targets)[number], from: number, to: number) => ({
    key: { from, to },
    verdict: { kind: 'goto', chain } as const,
    comment: segment.rules[0] === undefined ? '' : formatRuleName(segment.rules[0].origin),
    span: segment.rules[0]?.origin.span,
  });
  const lookups: NftRule[] = [];
  const addMap = (kind: 'narrow' | 'wide', elements: readonly ReturnType<typeof element>[]): void => {
    if (elements.length === 0) return;
    const map = `${name}.${kind}`;
    context.maps.push({ kind: 'portMap', name: map, interval: kind === 'wide', elements });
    lookups.push(builtIn([], { kind: 'portMap', end, protocol, map }, `${kind} ports`));
  };
  addMap(
    'narrow',
    narrow.flatMap((target) => {
      const { from, to } = target.segment.range;
      return Array.from({ length: to - from + 1 }, (_, i) => element(target, from + i, from + i));
    }),
  );
  addMap(
    'wide',
    wide.map((target) => element(target, target.segment.range.from, target.segment.range.to)),
  );
  return [...lookups, builtIn([], { kind: 'goto', chain: rest }, 'any other port')];
}

interface Surroundings {
  /** Where each rule of the protocol stands. */
  readonly place: ReadonlyMap<Rule, number>;
  /** The rules without ports, and the chain that judges by them alone. */
  readonly base: readonly Rule[];
  readonly rest: string;
  readonly name: string;
  readonly family: Family;
}

function oneSegment(
  { rules: own }: PortSegment,
  { place, base, rest, name, family }: Surroundings,
  context: Context,
): string {
  const key = `${name} ${own.map(({ origin, priority }) => `${formatRuleName(origin)} ${priority}`).join('|')}`;
  const known = context.shared.get(key);
  if (known !== undefined) return known;
  const chain = `${name}.${context.shared.size + 1}`;
  context.shared.set(key, chain);
  if (base.length > MOST_REPEATED && decideFirst(own, base, place)) {
    return addChain(context, chain, [
      ...segmentRules(own, chain, family, context),
      builtIn([], { kind: 'goto', chain: rest }, 'any port'),
    ]);
  }
  return addChain(context, chain, segmentRules(merge(base, own, place), chain, family, context));
}

/** Two lists in deciding order as one. */
function merge(some: readonly Rule[], others: readonly Rule[], place: ReadonlyMap<Rule, number>): readonly Rule[] {
  const merged: Rule[] = [];
  let next = 0;
  for (const rule of some) {
    for (
      let other = others[next];
      other !== undefined && (place.get(other) ?? 0) < (place.get(rule) ?? 0);
      other = others[next]
    ) {
      merged.push(other);
      next += 1;
    }
    merged.push(rule);
  }
  return [...merged, ...others.slice(next)];
}

/** Whether `own` may be asked before `base`: no rule of `base` stands before one of `own` and says the opposite. */
function decideFirst(own: readonly Rule[], base: readonly Rule[], place: ReadonlyMap<Rule, number>): boolean {
  const lastOf = (action: Rule['action']): number =>
    Math.max(-1, ...own.filter((rule) => rule.action === action).map((rule) => place.get(rule) ?? -1));
  const firstOf = (action: Rule['action']): number => {
    const first = base.find((rule) => rule.action === action);
    return first === undefined ? Number.POSITIVE_INFINITY : (place.get(first) ?? 0);
  };
  return firstOf('deny') > lastOf('allow') && firstOf('allow') > lastOf('deny');
}

/** A chain that judges by addresses alone. */
function segmentChain(rules: readonly Rule[], name: string, family: Family, context: Context): string {
  return addChain(context, name, segmentRules(rules, name, family, context));
}

function segmentRules(rules: readonly Rule[], name: string, family: Family, context: Context): readonly NftRule[] {
  const resolution = resolveAddresses(
    rules.map((rule) => clauseOf(rule, family, context)),
    family,
  );
  const { strata, rest } = resolution;
  const intervals = intervalRules(resolution, name, family, context);
  const inSets = strata.flatMap((_, stratum) => setRules(resolution, stratum, family, context));
  const atLast =
    rest === undefined
      ? []
      : [builtIn([], verdictOf(rest, context.aspect), formatRuleName(rest.origin), rest.origin.span)];
  return [...intervals, ...inSets, ...atLast];
}

/** Up to this many intervals, comparing one after the other is cheaper than a lookup (44 ns each against 89 to 162). */
const FEW_INTERVALS = 3;

function intervalRules(resolution: Resolution, name: string, family: Family, context: Context): readonly NftRule[] {
  const { intervals } = resolution;
  const verdicts = intervals.map(
    (one): SimpleVerdict => verdictOfInterval(one.stratum, one.rule, { resolution, name, family, context }),
  );
  const end = REMOTE_END[context.aspect];
  if (intervals.length === 0) return [];
  if (intervals.length <= FEW_INTERVALS) {
    return intervals.map(({ interval, rule }, i) =>
      builtIn(
        [{ kind: 'address', end, family, address: interval }],
        verdicts[i] ?? { kind: 'drop' },
        formatRuleName(rule.origin),
        rule.origin.span,
      ),
    );
  }
  const map = `${name}.addresses`;
  const elements = intervals.map(({ interval, rule }, i) => ({
    key: interval,
    verdict: verdicts[i] ?? ({ kind: 'drop' } as const),
    comment: formatRuleName(rule.origin),
    span: rule.origin.span,
  }));
  context.maps.push({ kind: 'addressMap', name: map, family, elements });
  return [builtIn([], { kind: 'addressMap', end, family, map }, 'addresses')];
}

interface IntervalContext {
  readonly resolution: Resolution;
  readonly name: string;
  readonly family: Family;
  readonly context: Context;
}

/** What an interval's own rule says, unless sets of earlier strata that say the opposite have to be asked first. */
function verdictOfInterval(
  stratum: number,
  rule: Rule,
  { resolution, name, family, context }: IntervalContext,
): SimpleVerdict {
  const verdict = verdictOf(rule, context.aspect);
  const earlier = resolution.strata.slice(0, stratum);
  if (!earlier.some(({ action, sets }) => action !== rule.action && sets.length > 0)) return verdict;
  const chain = `${name}.after${stratum}`;
  if (!context.shared.has(chain)) {
    context.shared.set(chain, chain);
    const asked = earlier.flatMap((_, index) => setRules(resolution, index, family, context));
    addChain(context, chain, [...asked, builtIn([], verdict, formatRuleName(rule.origin), rule.origin.span)]);
  }
  return { kind: 'goto', chain };
}

function setRules({ strata }: Resolution, stratum: number, family: Family, { aspect }: Context): readonly NftRule[] {
  return (strata[stratum]?.sets ?? []).map(({ set, rule }) =>
    builtIn(
      [{ kind: 'address', end: REMOTE_END[aspect], family, address: { set } }],
      verdictOf(rule, aspect),
      formatRuleName(rule.origin),
      rule.origin.span,
    ),
  );
}

function clauseOf(rule: Rule, family: Family, { sets }: Context): RemoteClause {
  const { remote } = rule;
  switch (remote.kind) {
    case 'any':
      return { kind: 'any', rule };
    case 'interval':
      return isWholeFamily(remote.interval)
        ? { kind: 'any', rule }
        : { kind: 'interval', rule, interval: remote.interval };
    case 'securityGroup':
      return { kind: 'sets', rule, sets: [sets.members(remote.name, family)] };
    case 'addressGroup':
      return { kind: 'sets', rule, sets: sets.addressGroup(remote.name, family) };
  }
}

function addChain({ chains }: Context, name: string, rules: readonly NftRule[]): string {
  chains.push({ name, hook: undefined, rules });
  return name;
}

function builtIn(matches: readonly Match[], verdict: NftVerdict, comment: string, span?: NftRule['span']): NftRule {
  return { matches, counted: false, verdict, comment, span };
}
