import type { Family } from '#core/model/net/address.ts';
import { nameWithin } from '#core/model/nft/object-name.ts';
import type { PortRange, Rule } from '#core/model/policy/rule.ts';
import type {
  AddressMap,
  Match,
  NftChain,
  NftRule,
  NftSet,
  NftVerdict,
  SimpleVerdict,
} from '#core/model/nft/ruleset.ts';
import { builtIn } from './built-in-rule.ts';
import type { AddressClasses, ClassifiedInterval } from './address-classes.ts';
import { type PacketRole, PORT_END, REMOTE_END } from './match-terms.ts';
import { clausesOf, oncePerView, type PerView, type RemoteView, viewedRules } from './remote-view.ts';
import { type Resolution, resolveAddresses } from './resolve-addresses.ts';
import type { RuleVerdicts } from './logging-and-counters.ts';
import { compileRules } from './rule-chains.ts';
import type { PortRules, ProtocolRules, RuleTree, TreeSegment } from './rule-tree.ts';
import type { SetRegistry } from './set-registry.ts';
import { hasPorts, PORT_PROTOCOLS } from '#core/model/policy/protocol-lookup.ts';

/** Ports of a range up to this long stand one by one in a hash map, whose lookup is cheaper than that of ranges. */
const LONGEST_EXPANDED = 8;

/** Up to this many intervals, comparing one after the other is cheaper than a lookup (44 ns each against 89 to 162). */
const FEW_INTERVALS = 3;

/** Up to this many protocols, comparing one after the other is cheaper than a lookup (15 to 35 ns each against 75 to 110). */
const FEW_PROTOCOLS = 3;

/** The chains and maps that rules are compiled to, beside the rules that lead to them. */
export interface CompiledRules {
  readonly rules: readonly NftRule[];
  readonly chains: readonly NftChain[];
  readonly maps: readonly NftSet[];
}

/** What trees of rules are compiled with. */
export interface SegmentContext {
  readonly role: PacketRole;
  readonly verdicts: RuleVerdicts;
  readonly sets: SetRegistry;
  /** What lists of rules were resolved to; the same for both directions of a flow, so that it is worked out once. */
  readonly resolutions: PerView<Resolution>;
}

interface Context extends SegmentContext {
  readonly family: Family;
  readonly view: RemoteView;
  readonly chains: NftChain[];
  readonly maps: NftSet[];
  /** What was made of lists of rules that are judged by addresses, and the chains of that: most classes share them. */
  readonly made: PerView<readonly NftRule[]>;
  readonly targets: Map<readonly NftRule[], SimpleVerdict>;
}

/** A tree of rules and, where its packets are to be told apart by them, the classes of addresses. */
export interface ClassifiedTree {
  readonly tree: RuleTree;
  readonly classes: AddressClasses | undefined;
}

/**
 * Trees of rules, one a family, as trees of lookups: by family, class of address, protocol and port to a segment, in
 * which overlaps of addresses were resolved beforehand. What a packet costs does not grow with the rules. Where none
 * matches, the packet comes back to the rule behind `rules`; as it does where one denies, if that is a `return`.
 */
export function compileSegments(
  trees: readonly ClassifiedTree[],
  name: string,
  options: SegmentContext,
): CompiledRules {
  const chains: NftChain[] = [];
  const maps: NftSet[] = [];
  const rules = trees.map(({ tree, classes }) => {
    const { family } = tree;
    const shared = { ...options, family, chains, maps, made: new Map(), targets: new Map() };
    const top = nameWithin(name, family);
    const toTop = builtIn([{ kind: 'family', family }], { kind: 'jump', chain: top }, family);
    if (classes === undefined) {
      const context: Context = { ...shared, view: { kind: 'sets', sets: options.sets } };
      addChain(context, top, familyRules(tree, top, context));
      return toTop;
    }
    const rest: Context = { ...shared, view: { kind: 'class', groups: new Set() } };
    const ofRest = familyRules(tree, top, rest);
    const verdicts = new Map(
      classes.classes.map((one) => {
        const context: Context = { ...shared, view: { kind: 'class', groups: new Set(one.groups) } };
        const chain = nameWithin(top, 'in', one.name);
        return [one, goto(addChain(context, chain, familyRules(tree, chain, context)))];
      }),
    );
    const mapOf = (kind: 'hosts' | 'ranges', classified: readonly ClassifiedInterval[]): NftRule => {
      const map = classMap({ name: nameWithin(top, kind), interval: kind === 'ranges', family, classified, verdicts });
      maps.push(map);
      return lookup(map, REMOTE_END[options.role], `groups: ${kind}`);
    };
    addChain(rest, top, [mapOf('hosts', classes.hosts), mapOf('ranges', classes.ranges), ...ofRest]);
    return toTop;
  });
  return { rules, chains, maps };
}

interface ClassMap extends Pick<AddressMap, 'name' | 'interval' | 'family'> {
  readonly classified: readonly ClassifiedInterval[];
  /** One for all intervals of a class: there can be hundreds of thousands. */
  readonly verdicts: ReadonlyMap<ClassifiedInterval['of'], SimpleVerdict>;
}

function classMap({ classified, verdicts, ...map }: ClassMap): AddressMap {
  return {
    ...map,
    kind: 'addressMap',
    dynamic: true,
    elements: classified.map(({ interval: key, of }) => {
      const verdict = verdicts.get(of);
      if (verdict === undefined) throw new Error(`no chain was made for the class ${of.name}`);
      return { key, verdict, origin: undefined };
    }),
  };
}

function familyRules({ protocols, others }: RuleTree, name: string, context: Context): readonly NftRule[] {
  const entries = protocols.map((rules) => ({
    protocol: rules.protocol,
    verdict: protocolTarget(rules, nameWithin(name, String(rules.protocol)), context),
  }));
  // The most common first: those with ports, as the table of protocols has them, then ascending.
  const byUse = entries.toSorted((a, b) => rank(a.protocol) - rank(b.protocol));
  const dispatch: readonly NftRule[] =
    entries.length <= FEW_PROTOCOLS
      ? byUse.map(({ protocol, verdict }) => builtIn([{ kind: 'protocol', protocol }], verdict, 'protocol'))
      : [builtIn([], { kind: 'protocolMap', entries }, 'protocol')];
  const rest = target(addressRules(others, nameWithin(name, 'all'), context), nameWithin(name, 'all'), context);
  return [...dispatch, builtIn([], rest, 'any other protocol')];
}

function rank(protocol: number): number {
  return hasPorts(protocol) ? PORT_PROTOCOLS.indexOf(protocol) - PORT_PROTOCOLS.length : protocol;
}

function protocolTarget(rules: ProtocolRules, name: string, context: Context): SimpleVerdict {
  switch (rules.kind) {
    case 'inOrder': {
      const { role, sets, verdicts, view } = context;
      return target(compileRules(viewedRules(rules.rules, view), { role, sets, verdicts }), name, context);
    }
    case 'addresses':
      return target(addressRules(rules.rules, name, context), name, context);
    case 'ports': {
      const first = addressRules(rules.ahead, nameWithin(name, 'first'), context);
      return target(isFinal(first) ? first : [...first, ...portDispatch(rules, name, context)], name, context);
    }
  }
}

function portDispatch(
  { protocol, segments, withoutPorts }: PortRules,
  name: string,
  context: Context,
): readonly NftRule[] {
  const rest = target(addressRules(withoutPorts, nameWithin(name, 'rest'), context), nameWithin(name, 'rest'), context);
  const targets = segments.flatMap((segment) => {
    const verdict = segmentTarget(segment, { name, rest, context });
    return segment.ranges.map((range) => ({ range, verdict, rule: segment.rules[0] }));
  });
  targets.sort((a, b) => a.range.from - b.range.from);
  const element = ({ verdict, rule }: (typeof targets)[number], from: number, to: number) => ({
    key: { from, to },
    verdict,
    origin: rule?.origin,
  });
  const isNarrow = ({ from, to }: PortRange): boolean => to - from < LONGEST_EXPANDED;
  const lookups: NftRule[] = [];
  const addMap = (kind: 'narrow' | 'wide', elements: readonly ReturnType<typeof element>[]): void => {
    if (elements.length === 0) return;
    const map = nameWithin(name, kind);
    context.maps.push({ kind: 'portMap', name: map, interval: kind === 'wide', elements });
    lookups.push(builtIn([], { kind: 'portMap', end: PORT_END[context.role], protocol, map }, `${kind} ports`));
  };
  addMap(
    'narrow',
    targets
      .filter(({ range }) => isNarrow(range))
      .flatMap((one) => {
        const { from, to } = one.range;
        return Array.from({ length: to - from + 1 }, (_, i) => element(one, from + i, from + i));
      }),
  );
  addMap(
    'wide',
    targets.filter(({ range }) => !isNarrow(range)).map((one) => element(one, one.range.from, one.range.to)),
  );
  return [...lookups, builtIn([], rest, 'any other port')];
}

interface SegmentPlace {
  readonly name: string;
  /** What judges by the rules without ports. */
  readonly rest: SimpleVerdict;
  readonly context: Context;
}

function segmentTarget({ ranges, rules, apart }: TreeSegment, { name, rest, context }: SegmentPlace): SimpleVerdict {
  const [first] = ranges;
  const chain = nameWithin(name, `${first?.from ?? 0}-${first?.to ?? 0}`);
  const own = addressRules(rules, chain, context);
  return target(apart && !isFinal(own) ? [...own, builtIn([], rest, 'any port')] : own, chain, context);
}

/** Rules that judge by addresses alone. */
function addressRules(rules: readonly Rule[], name: string, context: Context): readonly NftRule[] {
  return oncePerView(context.made, rules, context.view, () => {
    const resolution = resolutionOf(rules, context);
    const { strata, rest } = resolution;
    const intervals = intervalRules(resolution, name, context);
    const inSets = strata.flatMap((_, stratum) => setRules(resolution, stratum, context));
    const atLast = rest === undefined ? [] : [decided(rest, [], context)];
    return [...intervals, ...inSets, ...atLast];
  });
}

function resolutionOf(rules: readonly Rule[], { family, view, resolutions, verdicts }: Context): Resolution {
  return oncePerView(resolutions, rules, view, () =>
    resolveAddresses(clausesOf(rules, family, view), family, verdicts),
  );
}

function intervalRules(resolution: Resolution, name: string, context: Context): readonly NftRule[] {
  const { intervals } = resolution;
  const { role, family, maps } = context;
  const end = REMOTE_END[role];
  if (intervals.length === 0) return [];
  const after = new Map<string, SimpleVerdict>();
  const elements = intervals.map(({ interval, rule, stratum }) => ({
    key: interval,
    verdict: verdictOfInterval(stratum, rule, { resolution, name, context, after }),
    origin: rule.origin,
  }));
  if (elements.length <= FEW_INTERVALS) {
    return elements.map(({ key, verdict, origin }) => ({
      ...builtIn([{ kind: 'address', end, family, address: key }], verdict, ''),
      origin,
    }));
  }
  const map = {
    kind: 'addressMap',
    name: nameWithin(name, 'addresses'),
    family,
    interval: true,
    dynamic: false,
    elements,
  } as const;
  maps.push(map);
  return [lookup(map, end, 'addresses')];
}

interface IntervalPlace {
  readonly resolution: Resolution;
  readonly name: string;
  readonly context: Context;
  /** The verdicts made so far, by stratum. */
  readonly after: Map<string, SimpleVerdict>;
}

/** What an interval's own rule says, unless sets of earlier strata that say the opposite have to be asked first. */
function verdictOfInterval(
  stratum: number,
  rule: Rule,
  { resolution, name, context, after }: IntervalPlace,
): SimpleVerdict {
  const earlier = resolution.strata.slice(0, stratum);
  const own = resolution.strata[stratum]?.says;
  if (!earlier.some(({ says, sets }) => says !== own && sets.length > 0)) return context.verdicts.of(rule);
  const key = String(stratum);
  const known = after.get(key);
  if (known !== undefined) return known;
  const asked = earlier.flatMap((_, index) => setRules(resolution, index, context));
  const verdict = target([...asked, decided(rule, [], context)], nameWithin(name, `after${stratum}`), context);
  after.set(key, verdict);
  return verdict;
}

function setRules({ strata }: Resolution, stratum: number, context: Context): readonly NftRule[] {
  const { role, family } = context;
  return (strata[stratum]?.sets ?? []).map(({ set, rule }) =>
    decided(rule, [{ kind: 'address', end: REMOTE_END[role], family, address: { set } }], context),
  );
}

/** Where packets go that `rules` judge: a chain of that name, or at once what such a chain would say. */
function target(rules: readonly NftRule[], name: string, context: Context): SimpleVerdict {
  const [first] = rules;
  if (first === undefined) return { kind: 'return' };
  if (isFinal([first]) && isSimple(first.verdict) && !first.counted) return first.verdict;
  const known = context.targets.get(rules);
  if (known !== undefined) return known;
  const made = goto(addChain(context, name, rules));
  context.targets.set(rules, made);
  return made;
}

function goto(chain: string): SimpleVerdict {
  return { kind: 'goto', chain };
}

/** Whether no packet comes past these rules. */
function isFinal(rules: readonly NftRule[]): boolean {
  const last = rules.at(-1);
  return last !== undefined && last.matches.length === 0 && isSimple(last.verdict);
}

function isSimple(verdict: NftVerdict): verdict is SimpleVerdict {
  return ['accept', 'drop', 'return', 'goto'].includes(verdict.kind);
}

function decided(rule: Rule, matches: readonly Match[], { verdicts }: Context): NftRule {
  return { ...builtIn(matches, verdicts.of(rule), ''), origin: rule.origin };
}

function lookup({ name, family }: AddressMap, end: 'source' | 'destination', comment: string): NftRule {
  return builtIn([], { kind: 'addressMap', end, family, map: name }, comment);
}

function addChain({ chains }: Context, name: string, rules: readonly NftRule[]): string {
  chains.push({ name, hook: undefined, rules });
  return name;
}
