import type { Family } from '#core/model/net/address.ts';
import type { AddressEntries, EntriesByFamily } from '#core/model/net/address-entries.ts';
import { type Binding, type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { Action, Direction, Remote, Rule, Traffic } from '#core/model/policy/rule.ts';
import { partitionAddresses, type Addresses, type AddressSegment } from './address-partition.ts';
import { atomMatches, type TrafficAtom } from './traffic-atoms.ts';

/** What decides on packets of new flows. */
export interface RuleDecision {
  readonly action: Action;
  /** `default`: no rule is about them. `unmanaged`: the policy does not name the interface, and lets everything pass there. */
  readonly reason: 'rule' | 'management' | 'default' | 'unmanaged';
  readonly rule: Rule | undefined;
}

/** Interfaces that each of the policies judges by one binding: their names, and globs without what longer patterns name. */
export function interfaceClasses(...policies: readonly HostPolicy[]): readonly (string | undefined)[] {
  const patterns = new Set<string>(policies.flatMap(({ bindings }) => bindings.map(({ pattern }) => pattern)));
  patterns.delete('lo');
  const named = [...patterns].toSorted((a, b) => (a < b ? -1 : 1));
  return patterns.has('*') ? named : [...named, undefined];
}

function bindingOf({ bindings }: HostPolicy, named: string | undefined): Binding | undefined {
  if (named === undefined) return undefined;
  // A glob is covered by itself and by shorter ones.
  return bindings.find(({ pattern }) =>
    named.endsWith('*')
      ? pattern.endsWith('*') && named.slice(0, -1).startsWith(pattern.slice(0, -1))
      : patternMatches(pattern, named),
  );
}

/** A rule, and whom it is about. */
export interface RuleMatch {
  readonly traffic: Traffic;
  readonly addresses: Addresses;
  readonly decision: RuleDecision;
}

/** What judges packets of one family, one direction and one kind of interface: the first that is about them, else the rest. */
export interface RuleList {
  readonly rules: readonly RuleMatch[];
  readonly otherwise: RuleDecision;
}

/** Which packets. */
export interface RuleListKey {
  readonly direction: Direction;
  readonly family: Family;
}

/** What judges packets on the interfaces that `named` is a class of, built-in traffic aside: it passes whatever rules say. */
export function ruleListOf(
  policy: HostPolicy,
  named: string | undefined,
  { direction, family }: RuleListKey,
): RuleList {
  const binding = bindingOf(policy, named);
  if (binding === undefined && policy.unmanagedInterfaces === 'allow')
    return { rules: [], otherwise: { action: 'allow', reason: 'unmanaged', rule: undefined } };
  const rules = [...policy.management[direction], ...(binding?.[direction] ?? [])];
  const own = rules.filter((rule) => rule.family === family);
  return {
    rules: own.flatMap((rule) => ruleMatchOf(rule, policy)),
    otherwise: { action: 'deny', reason: 'default', rule: undefined },
  };
}

function ruleMatchOf(rule: Rule, policy: HostPolicy): readonly RuleMatch[] {
  const addresses = addressesOf(rule.remote, rule.family, policy);
  if (addresses !== 'any' && addresses.length === 0) return [];
  const reason = rule.origin.group === undefined ? 'management' : 'rule';
  return [
    {
      traffic: rule.traffic,
      addresses,
      decision: { action: rule.action, reason, rule },
    },
  ];
}

/** Whom a remote is about, as far as the policy's host knows. */
export function addressesOf(remote: Remote, family: Family, { addressGroups, members }: HostPolicy): Addresses {
  const held = (entries: EntriesByFamily | undefined): Addresses =>
    entries === undefined ? [] : intervalsOf(entries[family]);
  switch (remote.kind) {
    case 'any':
      return 'any';
    case 'interval':
      return [remote.interval];
    case 'addressGroup':
      return held(addressGroups.get(remote.name));
    case 'securityGroup':
      return held(members.get(remote.name));
  }
}

const together = new WeakMap<AddressEntries, readonly Interval[]>();

/** Hosts and ranges in one list, the same one whenever the same entries are asked for. */
function intervalsOf(entries: AddressEntries): readonly Interval[] {
  const known = together.get(entries);
  if (known !== undefined) return known;
  const made = [...entries.hosts, ...entries.ranges];
  together.set(entries, made);
  return made;
}

/** What of a side is about a class of traffic, up to the first that is about all addresses. */
export function relevantTo({ rules, otherwise }: RuleList, one: TrafficAtom): RuleList {
  return untilCatchAll({ rules: rules.filter(({ traffic }) => atomMatches(traffic, one)), otherwise });
}

/** A side without what comes behind the first that is about all addresses. */
export function untilCatchAll({ rules, otherwise }: RuleList): RuleList {
  const last = rules.findIndex(({ addresses }) => addresses === 'any');
  return { rules: last < 0 ? rules : rules.slice(0, last + 1), otherwise };
}

/** All addresses by which of a side's candidates decides on them; the side is about one class of traffic. */
export function partitionOf({ rules }: RuleList, family: Family): readonly AddressSegment[] {
  return partitionAddresses(
    rules.map(({ addresses }) => addresses),
    family,
  );
}

/** What decides where a line of the side has this place. */
export function decisionAt({ rules, otherwise }: RuleList, place: number | undefined): RuleDecision {
  return (place === undefined ? undefined : rules[place]?.decision) ?? otherwise;
}
