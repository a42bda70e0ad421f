import type { Family } from '#core/model/net/address.ts';
import type { PortProtocol } from '#core/model/policy/protocols.ts';
import type { PortRange, Rule } from '#core/model/policy/rule.ts';
import { portSegments, segmentedRuleCount } from './port-segments.ts';

/** Rules of one family in deciding order, divided by protocol and then by port. */
export interface RuleTree {
  readonly family: Family;
  /** The protocols that rules name, ascending. */
  readonly protocols: readonly ProtocolRules[];
  /** The rules for every other protocol. */
  readonly others: readonly Rule[];
}

/** The rules for one protocol, matched one after another, by address alone, or by port and then address. */
export type ProtocolRules =
  | { readonly kind: 'inOrder'; readonly protocol: number; readonly rules: readonly Rule[] }
  | { readonly kind: 'addresses'; readonly protocol: number; readonly rules: readonly Rule[] }
  | PortRules;

/** The rules of a protocol with ports. */
export interface PortRules {
  readonly kind: 'ports';
  readonly protocol: PortProtocol;
  /** Rules without ports that come before all those with ports, such as a list of addresses that are denied everything. */
  readonly ahead: readonly Rule[];
  /** The other rules without ports: they decide where no rule names the port. */
  readonly withoutPorts: readonly Rule[];
  readonly segments: readonly TreeSegment[];
}

/** Ports that the same rules match. */
export interface TreeSegment {
  readonly ranges: readonly PortRange[];
  readonly rules: readonly Rule[];
  /** Whether the rules without ports are left out of `rules`, and come behind them. */
  readonly apart: boolean;
}

/** A segment repeats the rules without ports, so that one lookup is enough, if they are at most this many. */
const MAX_REPEATED_RULES = 64;

/**
 * Port ranges that overlap heavily make more segments times rules than fit in memory, or than nft loads in a minute
 * (measured: 740,000 lines take longer). Beyond this limit the rules of a protocol and family stay one after another,
 * which is slow, but bounded.
 */
const MAX_SEGMENTED_RULES = 100_000;

/** The tree of the rules of `family` among `rules`; undefined if there are none. */
export function ruleTree(rules: readonly Rule[], family: Family): RuleTree | undefined {
  const ofFamily = rules.filter((rule) => rule.family === family);
  if (ofFamily.length === 0) return undefined;
  const byProtocol = new Map<number, Rule[]>();
  for (const { traffic } of ofFamily) if (traffic.kind !== 'all') byProtocol.set(traffic.protocol, []);
  const others: Rule[] = [];
  for (const rule of ofFamily) {
    if (rule.traffic.kind !== 'all') byProtocol.get(rule.traffic.protocol)?.push(rule);
    else for (const list of [others, ...byProtocol.values()]) list.push(rule);
  }
  const protocols = [...byProtocol].toSorted(([a], [b]) => a - b);
  return { family, protocols: protocols.map(([protocol, list]) => protocolRules(protocol, list)), others };
}

function protocolRules(protocol: number, rules: readonly Rule[]): ProtocolRules {
  // ICMP has few types and few rules: they stay in order.
  if (rules.some(({ traffic }) => traffic.kind === 'icmp')) return { kind: 'inOrder', protocol, rules };
  const firstWithPorts = rules.findIndex(({ traffic }) => traffic.kind === 'ports');
  const ported = rules[firstWithPorts]?.traffic;
  if (ported?.kind !== 'ports') return { kind: 'addresses', protocol, rules };
  if (segmentedRuleCount(rules) > MAX_SEGMENTED_RULES) return { kind: 'inOrder', protocol, rules };
  const behind = rules.slice(firstWithPorts);
  const withPorts = behind.filter(({ traffic }) => traffic.kind === 'ports');
  const withoutPorts = behind.filter(({ traffic }) => traffic.kind !== 'ports');
  const place = new Map(behind.map((rule, index) => [rule, index]));
  return {
    kind: 'ports',
    protocol: ported.protocol,
    ahead: rules.slice(0, firstWithPorts),
    withoutPorts,
    segments: treeSegments(withPorts, withoutPorts, place),
  };
}

function treeSegments(
  withPorts: readonly Rule[],
  withoutPorts: readonly Rule[],
  place: ReadonlyMap<Rule, number>,
): readonly TreeSegment[] {
  const byRules = new Map<string, { readonly ranges: PortRange[]; readonly rules: readonly Rule[] }>();
  for (const { range, rules } of portSegments(withPorts)) {
    const key = rules.map((rule) => place.get(rule)).join();
    const segment = byRules.get(key);
    if (segment === undefined) byRules.set(key, { ranges: [range], rules });
    else segment.ranges.push(range);
  }
  return [...byRules.values()].map(({ ranges, rules }) => {
    const apart = withoutPorts.length > MAX_REPEATED_RULES && decideFirst(rules, withoutPorts, place);
    return { ranges, rules: apart ? rules : merge(withoutPorts, rules, place), apart };
  });
}

/** Merges two lists in deciding order. */
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

/** Whether `ahead` may come before `base`: no rule of `base` comes before one of `ahead` with the opposite action. */
function decideFirst(ahead: readonly Rule[], base: readonly Rule[], place: ReadonlyMap<Rule, number>): boolean {
  const lastOf = (action: Rule['action']): number =>
    ahead.reduce((last, rule) => (rule.action === action ? Math.max(last, place.get(rule) ?? -1) : last), -1);
  const firstOf = (action: Rule['action']): number => {
    const first = base.find((rule) => rule.action === action);
    return first === undefined ? Number.POSITIVE_INFINITY : (place.get(first) ?? 0);
  };
  return firstOf('deny') > lastOf('allow') && firstOf('allow') > lastOf('deny');
}
