import type { Family } from '#core/model/net/address.ts';
import type { AddressEntries, EntriesByFamily } from '#core/model/net/address-entries.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { type Binding, bindingOf, type HostPolicy } from '#core/model/policy/host.ts';
import type { Action, Direction, Remote, Rule, Traffic } from '#core/model/policy/rule.ts';
import { type Addresses, type AddressSegment, partitionAddresses } from './address-partition.ts';
import { atomMatches, type TrafficAtom } from './traffic-atoms.ts';

/** What decides packets of new flows, and how. */
export interface RuleDecision {
  readonly action: Action;
  /** `default`: no rule matches. `unmanaged`: the policy does not name the interface, and allows everything there. */
  readonly reason: 'rule' | 'management' | 'default' | 'unmanaged';
  readonly rule: Rule | undefined;
}

/**
 * The interfaces that each of the policies judges by one binding: names, globs without what longer patterns name, and
 * undefined for every interface that no policy names.
 */
export function interfaceClasses(...policies: readonly HostPolicy[]): readonly (string | undefined)[] {
  const patterns = new Set<string>(policies.flatMap(({ bindings }) => bindings.map(({ pattern }) => pattern)));
  patterns.delete('lo');
  const named = [...patterns].toSorted((a, b) => (a < b ? -1 : 1));
  return patterns.has('*') ? named : [...named, undefined];
}

function bindingOfClass(policy: HostPolicy, named: string | undefined): Binding | undefined {
  if (named === undefined) return undefined;
  if (!named.endsWith('*')) return bindingOf(policy, named);
  // A glob is covered by itself and by shorter ones.
  return policy.bindings.find(
    ({ pattern }) => pattern.endsWith('*') && named.slice(0, -1).startsWith(pattern.slice(0, -1)),
  );
}

/** A rule: what it matches, and what it decides. */
export interface RuleMatch {
  readonly traffic: Traffic;
  readonly addresses: Addresses;
  readonly decision: RuleDecision;
}

/**
 * The rules for packets of one interface class, direction and family, in deciding order: the first that matches
 * decides, and `otherwise` if none does.
 */
export interface RuleList {
  readonly rules: readonly RuleMatch[];
  readonly otherwise: RuleDecision;
}

/** The packets that a rule list is for, on one interface class. */
export interface RuleListKey {
  readonly direction: Direction;
  readonly family: Family;
}

/**
 * The rules for packets on the interfaces of the class `named`. Built-in traffic is left out: it passes whatever the
 * rules say.
 */
export function ruleListOf(
  policy: HostPolicy,
  named: string | undefined,
  { direction, family }: RuleListKey,
): RuleList {
  const binding = bindingOfClass(policy, named);
  if (binding === undefined && policy.unmanagedInterfaces === 'allow')
    return { rules: [], otherwise: { action: 'allow', reason: 'unmanaged', rule: undefined } };
  const rules = [...policy.management[direction], ...(binding?.[direction] ?? [])];
  return {
    rules: rules.filter((rule) => rule.family === family).flatMap((rule) => ruleMatchOf(rule, policy)),
    otherwise: { action: 'deny', reason: 'default', rule: undefined },
  };
}

function ruleMatchOf(rule: Rule, policy: HostPolicy): readonly RuleMatch[] {
  const addresses = addressesOf(rule.remote, rule.family, policy);
  if (addresses !== 'any' && addresses.length === 0) return [];
  return [{ traffic: rule.traffic, addresses, decision: decisionBy(rule) }];
}

/** What a rule decides about the packets that it matches first. */
export function decisionBy(rule: Rule): RuleDecision {
  return { action: rule.action, reason: rule.origin.group === undefined ? 'management' : 'rule', rule };
}

/** The addresses that a remote stands for, as known on the policy's host. */
export function addressesOf(remote: Remote, family: Family, { addressGroups, members }: HostPolicy): Addresses {
  const listed = (entries: EntriesByFamily | undefined): Addresses =>
    entries === undefined ? [] : intervalsOf(entries[family]);
  switch (remote.kind) {
    case 'any':
      return 'any';
    case 'interval':
      return [remote.interval];
    case 'addressGroup':
      return listed(addressGroups.get(remote.name));
    case 'securityGroup':
      return listed(members.get(remote.name));
  }
}

const intervalLists = new WeakMap<AddressEntries, readonly Interval[]>();

/** Hosts and ranges as one list; the same object for the same entries, so that rules can share what is made of it. */
function intervalsOf(entries: AddressEntries): readonly Interval[] {
  const known = intervalLists.get(entries);
  if (known !== undefined) return known;
  const intervals = [...entries.hosts, ...entries.ranges];
  intervalLists.set(entries, intervals);
  return intervals;
}

/** The rules of a list that match a traffic atom, up to the first that matches every address. */
export function relevantTo({ rules, otherwise }: RuleList, atom: TrafficAtom): RuleList {
  return untilCatchAll({ rules: rules.filter(({ traffic }) => atomMatches(traffic, atom)), otherwise });
}

/** A rule list without the rules behind the first that matches every address. */
export function untilCatchAll({ rules, otherwise }: RuleList): RuleList {
  const last = rules.findIndex(({ addresses }) => addresses === 'any');
  return { rules: last < 0 ? rules : rules.slice(0, last + 1), otherwise };
}

/** Partitions all addresses by the rule that decides; the rules of the list all match one traffic atom. */
export function partitionOf({ rules }: RuleList, family: Family): readonly AddressSegment[] {
  return partitionAddresses(
    rules.map(({ addresses }) => addresses),
    family,
  );
}

/** The decision of the rule with this index in the list; without an index, the one if no rule matches. */
export function decisionAt({ rules, otherwise }: RuleList, index: number | undefined): RuleDecision {
  return (index === undefined ? undefined : rules[index]?.decision) ?? otherwise;
}
