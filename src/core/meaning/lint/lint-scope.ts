import type { Family } from '#core/model/net/address.ts';
import { FAMILIES } from '#core/model/net/address.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { type Interval, isWholeFamily } from '#core/model/net/interval.ts';
import type { GroupName, InstanceName } from '#core/model/policy/names.ts';
import { DIRECTIONS, type Direction, type Rule } from '#core/model/policy/rule.ts';
import type { Addresses } from '#core/meaning/headerspace/address-partition.ts';
import { addressesOf, decisionBy, type RuleList } from '#core/meaning/headerspace/rule-list.ts';
import type { TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import { endpointOn, witnessOf } from '#core/meaning/headerspace/witness.ts';
import type { LintWitness } from './finding.ts';

/** Rules that judge the same packets, in deciding order: those of one interface, direction and family. */
export interface LintScope {
  readonly policy: HostPolicy;
  readonly pattern: string;
  readonly direction: Direction;
  readonly family: Family;
  readonly rules: readonly LintRule[];
  /** The names of the host's interfaces; none where the host is not known. */
  readonly interfaceNames: readonly string[];
}

/** A rule, and whom it is about as far as anybody knows. */
export interface LintRule {
  readonly rule: Rule;
  /** It is about these. */
  readonly certain: Addresses;
  /** It can be about these as well: members of a group whose addresses no policy tells. */
  readonly possible: Addresses;
  /** The group that these are members of, where `possible` is more. */
  readonly group: GroupName | undefined;
}

/** The host whose interfaces are known. */
interface KnownHost {
  readonly instance: InstanceName;
  readonly interfaceNames: readonly string[];
}

/**
 * Where rules of hosts judge, each set of rules once. `unknown` are groups with members whose addresses no policy tells;
 * `here` is this host, if it is one of them.
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

/** The place's rules as they decide if members are none but those that the policy tells. */
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

/** A packet of a class of traffic, to or from addresses. */
export function witnessAt(place: LintScope, one: TrafficAtom, interval: Interval): LintWitness {
  const { policy, pattern, direction, family, interfaceNames } = place;
  const remotes = isWholeFamily(interval) ? 'any' : [interval];
  const about = { direction, family, traffic: [one], remotes } as const;
  const at = endpointOn(pattern, { bindings: policy.bindings, interfaceNames }, family);
  return { instance: policy.instance, packet: witnessOf(about, at) };
}

/** Where packets of the other family meet the same rules' twins. */
export function otherFamily(place: LintScope, places: readonly LintScope[]): LintScope | undefined {
  return places.find(
    ({ policy, pattern, direction, family }) =>
      policy === place.policy && pattern === place.pattern && direction === place.direction && family !== place.family,
  );
}
