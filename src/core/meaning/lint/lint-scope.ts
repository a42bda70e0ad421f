import type { Addresses } from '#core/meaning/headerspace/address-partition.ts';
import { addressesOf, decisionBy, type RuleList } from '#core/meaning/headerspace/rule-list.ts';
import type { TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import { endpointOn, witnessOf } from '#core/meaning/headerspace/witness.ts';
import type { Family } from '#core/model/net/address.ts';
import { FAMILIES } from '#core/model/net/address.ts';
import { type Interval, isWholeFamily } from '#core/model/net/interval.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { GroupName, InstanceName } from '#core/model/policy/names.ts';
import { DIRECTIONS, type Direction, type Rule } from '#core/model/policy/rule.ts';
import type { LintWitness } from './finding.ts';

/** The rules for packets of one interface, direction and family, in deciding order. */
export interface LintScope {
  readonly policy: HostPolicy;
  readonly pattern: string;
  readonly direction: Direction;
  readonly family: Family;
  readonly rules: readonly LintRule[];
  /** The names of the host's interfaces; none where the host is not known. */
  readonly interfaceNames: readonly string[];
}

/** A rule, and the addresses that it matches as far as the policy says. */
export interface LintRule {
  readonly rule: Rule;
  /** Addresses that the rule certainly matches. */
  readonly certain: Addresses;
  /** Addresses that the rule may match: `any`, if its group has members whose addresses the policy does not say. */
  readonly possible: Addresses;
  /** The group of these members, if `possible` is more than `certain`. */
  readonly group: GroupName | undefined;
}

/** The host whose interfaces are known. */
interface KnownHost {
  readonly instance: InstanceName;
  readonly interfaceNames: readonly string[];
}

/**
 * The scopes of hosts, each list of rules once. `unknown` are groups with members whose addresses the policy does not
 * say; `here` is this host, if it is one of them.
 */
export function lintScopesOf(
  hosts: readonly HostPolicy[],
  unknown: ReadonlySet<GroupName>,
  here?: KnownHost,
): readonly LintScope[] {
  const known = new Set<string>();
  const numbers = new Map<Rule, number>();
  const scopes: LintScope[] = [];
  for (const policy of hosts) {
    for (const binding of policy.bindings.filter(({ pattern }) => pattern !== 'lo')) {
      for (const direction of DIRECTIONS) {
        const rules = [...policy.management[direction], ...binding[direction]];
        const key = `${direction} ${rules.map((rule) => numberOf(rule, numbers)).join()}`;
        if (known.has(key)) continue;
        known.add(key);
        for (const family of FAMILIES) {
          const own = rules.filter((rule) => rule.family === family);
          scopes.push({
            policy,
            pattern: binding.pattern,
            direction,
            family,
            rules: own.map((rule) => lintRuleOf(rule, policy, unknown)),
            interfaceNames: policy.instance === here?.instance ? here.interfaceNames : [],
          });
        }
      }
    }
  }
  return scopes;
}

function numberOf(rule: Rule, numbers: Map<Rule, number>): number {
  const number = numbers.get(rule) ?? numbers.size;
  numbers.set(rule, number);
  return number;
}

function lintRuleOf(rule: Rule, policy: HostPolicy, unknown: ReadonlySet<GroupName>): LintRule {
  const certain = addressesOf(rule.remote, rule.family, policy);
  const { remote } = rule;
  return remote.kind === 'securityGroup' && unknown.has(remote.name)
    ? { rule, certain, possible: 'any', group: remote.name }
    : { rule, certain, possible: certain, group: undefined };
}

/** The rule list of a scope, if groups have no other members than the policy says. */
export function ruleListAt({ rules }: LintScope): RuleList {
  return {
    rules: rules
      .filter(({ certain }) => certain === 'any' || certain.length > 0)
      .map(({ rule, certain }) => ({
        traffic: rule.traffic,
        addresses: certain,
        decision: decisionBy(rule),
      })),
    otherwise: { action: 'deny', reason: 'default', rule: undefined },
  };
}

/** A packet of a traffic atom, from or to an address of an interval. */
export function witnessAt(place: LintScope, one: TrafficAtom, interval: Interval): LintWitness {
  const { policy, pattern, direction, family, interfaceNames } = place;
  const remotes = isWholeFamily(interval) ? 'any' : [interval];
  const about = { direction, family, traffic: [one], remotes } as const;
  const at = endpointOn(pattern, { bindings: policy.bindings, interfaceNames }, family);
  return { instance: policy.instance, packet: witnessOf(about, at) };
}

/** The scope of the same interface and direction for the other family. */
export function otherFamily(place: LintScope, places: readonly LintScope[]): LintScope | undefined {
  return places.find(
    ({ policy, pattern, direction, family }) =>
      policy === place.policy && pattern === place.pattern && direction === place.direction && family !== place.family,
  );
}
