import { nameWithin } from '#core/model/nft/object-name.ts';
import type { AddressMap, NftChain, NftRule, NftSet, SimpleVerdict } from '#core/model/nft/ruleset.ts';
import { hasPorts, PORT_PROTOCOLS } from '#core/model/policy/protocol-lookup.ts';
import type { PortRange } from '#core/model/policy/rule.ts';
import type { AddressClass, AddressClasses, ClassifiedInterval } from './address-classes.ts';
import { addressRules } from './address-rules.ts';
import { builtIn } from './built-in-rule.ts';
import { PORT_END, REMOTE_END } from './match-terms.ts';
import { viewedRules } from './remote-view.ts';
import { compileRules } from './rule-chains.ts';
import type { PortRules, ProtocolRules, RuleTree, TreeSegment } from './rule-tree.ts';
import { addChain, goto, isFinal, lookup, type SegmentContext, type TreeContext, target } from './tree-context.ts';

/** Ranges of at most this many ports stand port by port in a hash map, whose lookup is cheaper than that of ranges. */
const MAX_EXPANDED_PORTS = 8;

/** Up to this many protocols, comparing one after another is cheaper than a lookup (15 to 35 ns each against 75 to 110). */
const MAX_LINEAR_PROTOCOLS = 3;

/** The chains and maps that rules are compiled to, and the nft rules that lead to them. */
export interface CompiledRules {
  readonly rules: readonly NftRule[];
  readonly chains: readonly NftChain[];
  readonly maps: readonly NftSet[];
}

/** A tree of rules and, where its packets are first sorted by them, the classes of addresses. */
export interface ClassifiedTree {
  readonly tree: RuleTree;
  readonly classes: AddressClasses | undefined;
}

/**
 * Compiles trees of rules, one per family, to trees of lookups: by family, address class, protocol and port to a segment,
 * in which overlaps of addresses are resolved beforehand. The cost of a packet does not grow with the rules. A packet
 * that no rule matches returns to the rule behind `rules`, as does a denied one if the verdict is `return`.
 */
export function compileSegments(
  trees: readonly ClassifiedTree[],
  name: string,
  context: SegmentContext,
): CompiledRules {
  const chains: NftChain[] = [];
  const maps: NftSet[] = [];
  const rules = trees.map(({ tree, classes }) => {
    const { family } = tree;
    const shared = { ...context, family, chains, maps, made: new Map(), targets: new Map() };
    const top = nameWithin(name, family);
    const toTop = builtIn([{ kind: 'family', family }], { kind: 'jump', chain: top }, family);
    if (classes === undefined) {
      const inSets: TreeContext = { ...shared, view: { kind: 'sets', sets: context.sets } };
      addChain(inSets, top, familyRules(tree, top, inSets));
      return toTop;
    }
    const inNone: TreeContext = { ...shared, view: { kind: 'class', groups: new Set() } };
    const otherAddresses = familyRules(tree, top, inNone);
    const verdicts = new Map(
      classes.classes.map((addressClass) => {
        const inClass: TreeContext = { ...shared, view: { kind: 'class', groups: new Set(addressClass.groups) } };
        const chain = nameWithin(top, 'in', addressClass.name);
        return [addressClass, goto(addChain(inClass, chain, familyRules(tree, chain, inClass)))];
      }),
    );
    const mapOf = (kind: 'hosts' | 'ranges', classified: readonly ClassifiedInterval[]): NftRule => {
      const map = classMap({ name: nameWithin(top, kind), interval: kind === 'ranges', family, classified, verdicts });
      maps.push(map);
      return lookup(map, REMOTE_END[context.role], `groups: ${kind}`);
    };
    addChain(inNone, top, [mapOf('hosts', classes.hosts), mapOf('ranges', classes.ranges), ...otherAddresses]);
    return toTop;
  });
  return { rules, chains, maps };
}

interface ClassMap extends Pick<AddressMap, 'name' | 'interval' | 'family'> {
  readonly classified: readonly ClassifiedInterval[];
  /** One verdict object for all intervals of a class: there can be hundreds of thousands. */
  readonly verdicts: ReadonlyMap<AddressClass, SimpleVerdict>;
}

function classMap({ classified, verdicts, ...map }: ClassMap): AddressMap {
  return {
    ...map,
    kind: 'addressMap',
    dynamic: true,
    elements: classified.map(({ interval: key, addressClass }) => {
      const verdict = verdicts.get(addressClass);
      if (verdict === undefined) throw new Error(`no chain was made for the class ${addressClass.name}`);
      return { key, verdict, origin: undefined };
    }),
  };
}

function familyRules({ protocols, others }: RuleTree, name: string, context: TreeContext): readonly NftRule[] {
  const entries = protocols.map((rules) => ({
    protocol: rules.protocol,
    verdict: protocolTarget(rules, nameWithin(name, String(rules.protocol)), context),
  }));
  // The most common protocols first: those with ports, in the order of the protocol table, then the others, ascending.
  const byUse = entries.toSorted((a, b) => rank(a.protocol) - rank(b.protocol));
  const dispatch: readonly NftRule[] =
    entries.length <= MAX_LINEAR_PROTOCOLS
      ? byUse.map(({ protocol, verdict }) => builtIn([{ kind: 'protocol', protocol }], verdict, 'protocol'))
      : [builtIn([], { kind: 'protocolMap', entries }, 'protocol')];
  const rest = target(addressRules(others, nameWithin(name, 'all'), context), nameWithin(name, 'all'), context);
  return [...dispatch, builtIn([], rest, 'any other protocol')];
}

function rank(protocol: number): number {
  return hasPorts(protocol) ? PORT_PROTOCOLS.indexOf(protocol) - PORT_PROTOCOLS.length : protocol;
}

function protocolTarget(rules: ProtocolRules, name: string, context: TreeContext): SimpleVerdict {
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
  context: TreeContext,
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
  const isNarrow = ({ from, to }: PortRange): boolean => to - from < MAX_EXPANDED_PORTS;
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
      .flatMap((portTarget) => {
        const { from, to } = portTarget.range;
        return Array.from({ length: to - from + 1 }, (_, i) => element(portTarget, from + i, from + i));
      }),
  );
  addMap(
    'wide',
    targets
      .filter(({ range }) => !isNarrow(range))
      .map((portTarget) => element(portTarget, portTarget.range.from, portTarget.range.to)),
  );
  return [...lookups, builtIn([], rest, 'any other port')];
}

interface PortContext {
  readonly name: string;
  /** Applies the rules without ports. */
  readonly rest: SimpleVerdict;
  readonly context: TreeContext;
}

function segmentTarget({ ranges, rules, apart }: TreeSegment, { name, rest, context }: PortContext): SimpleVerdict {
  const [first] = ranges;
  const chain = nameWithin(name, `${first?.from ?? 0}-${first?.to ?? 0}`);
  const ofSegment = addressRules(rules, chain, context);
  return target(
    apart && !isFinal(ofSegment) ? [...ofSegment, builtIn([], rest, 'any port')] : ofSegment,
    chain,
    context,
  );
}
