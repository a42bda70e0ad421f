import { FAMILIES, type Family } from '../model/address.ts';
import type { EntriesByFamily } from '../model/address-entries.ts';
import type { HostPolicy } from '../model/host.ts';
import { formatInterval, type Interval, isWholeFamily } from '../model/interval.ts';
import type { AddressGroupName, GroupName, InstanceName } from '../model/names.ts';
import type { Policy } from '../model/policy.ts';
import type { Direction, Remote, Rule } from '../model/rule.ts';
import { type Region, union, within as shared, without } from './region.ts';
import { classMembers, isAllTraffic, joinClasses, type TrafficClass } from './traffic-classes.ts';

/** Interfaces that carry the same groups, and so are judged alike. */
export interface Role {
  readonly groups: readonly GroupName[];
  readonly interfaces: readonly { readonly instance: InstanceName; readonly pattern: string }[];
}

/** Somebody who is no interface of the policy. */
export type Outsider =
  /** Whom no rule names. */
  | { readonly kind: 'anyone' }
  | { readonly kind: 'addressGroup'; readonly name: AddressGroupName }
  | { readonly kind: 'interval'; readonly interval: Interval };

/** One end of a way: a role by its place among them, or somebody else. */
export type End = { readonly kind: 'role'; readonly role: number } | Outsider;

/** Traffic; `all` is every protocol, an empty list none, and `but` is all without some. */
export type WayTraffic = readonly TrafficClass[] | 'all' | { readonly but: readonly TrafficClass[] };

/** Traffic of each family. */
export type FamilyTraffic = Readonly<Record<Family, WayTraffic>>;

/** What new connections pass from one end to another; of what anyone may, others are not told again. */
export interface Way {
  readonly from: End;
  readonly to: End;
  readonly traffic: FamilyTraffic;
  /** Who is among the end outside, and is denied some of the traffic: named by rules that deny. */
  readonly but: readonly Denied[];
}

/** Somebody whom a rule that denies names. */
export type Denied =
  | Exclude<Outsider, { readonly kind: 'anyone' }>
  | { readonly kind: 'securityGroup'; readonly name: GroupName };

/** Who reaches whom. */
export interface Reachability {
  readonly roles: readonly Role[];
  readonly ways: readonly Way[];
}

/**
 * Who can reach whom, on what: from outsiders to roles as the inbound rules say, from roles to outsiders as the outbound
 * rules say, and among roles where both let it pass. Members whose addresses nobody tells are known by their groups alone.
 */
export function reachability(policy: Policy, hosts: readonly HostPolicy[]): Reachability {
  const judged = judgedRoles(policy, hosts);
  const roles = judged.map(({ role }) => role);
  const ways: Way[] = [];
  for (const [to, target] of judged.entries()) {
    const inbound = (end: Outsider): FamilyTraffic => passing([{ judged: target, direction: 'inbound', end }]);
    const outbound = (end: Outsider): FamilyTraffic => passing([{ judged: target, direction: 'outbound', end }]);
    const fromAnyone = inbound({ kind: 'anyone' });
    const toAnyone = outbound({ kind: 'anyone' });
    const self: End = { kind: 'role', role: to };
    const butFrom = (end: Outsider): readonly Denied[] => deniedAmong({ judged: target, direction: 'inbound', end });
    const butTo = (end: Outsider): readonly Denied[] => deniedAmong({ judged: target, direction: 'outbound', end });
    ways.push({ from: ANYONE, to: self, traffic: fromAnyone, but: butFrom(ANYONE) });
    ways.push({ from: self, to: ANYONE, traffic: toAnyone, but: butTo(ANYONE) });
    for (const end of outsidersOf(target, 'inbound')) {
      const traffic = beyond(
        [{ judged: target, direction: 'inbound', end }],
        [{ judged: target, direction: 'inbound', end: { kind: 'anyone' } }],
      );
      ways.push({ from: end, to: self, traffic, but: butFrom(end) });
    }
    for (const end of outsidersOf(target, 'outbound')) {
      const traffic = beyond(
        [{ judged: target, direction: 'outbound', end }],
        [{ judged: target, direction: 'outbound', end: { kind: 'anyone' } }],
      );
      ways.push({ from: self, to: end, traffic, but: butTo(end) });
    }
    for (const [from, source] of judged.entries()) {
      const both: readonly Question[] = [
        { judged: target, direction: 'inbound', end: source },
        { judged: source, direction: 'outbound', end: target },
      ];
      const traffic = beyond(both, [{ judged: target, direction: 'inbound', end: { kind: 'anyone' } }]);
      ways.push({ from: { kind: 'role', role: from }, to: self, traffic, but: [] });
    }
  }
  return { roles, ways: ways.filter(({ traffic }) => FAMILIES.some((family) => !isNothing(traffic[family]))) };
}

interface JudgedRole {
  readonly kind: 'members';
  readonly role: Role;
  readonly policy: HostPolicy;
  readonly rules: Readonly<Record<Direction, readonly Rule[]>>;
  /** Undefined where nobody tells all of them. */
  readonly addresses: readonly Interval[] | undefined;
}

function judgedRoles(policy: Policy, hosts: readonly HostPolicy[]): readonly JudgedRole[] {
  const found = new Map<
    string,
    JudgedRole & { readonly role: { readonly interfaces: Role['interfaces'][number][] } }
  >();
  for (const host of hosts) {
    const instance = policy.instances.get(host.instance);
    for (const { pattern, groups, inbound, outbound } of host.bindings) {
      if (pattern === 'lo') continue;
      const key = `${instance?.evaluation ?? ''} ${groups.join(' ')}`;
      const rules = {
        inbound: [...host.management.inbound, ...inbound],
        outbound: [...host.management.outbound, ...outbound],
      };
      const known = found.get(key) ?? {
        kind: 'members',
        role: { groups, interfaces: [] },
        policy: host,
        rules,
        addresses: [],
      };
      const addresses = instance?.interfaces.find((one) => one.pattern === pattern)?.addresses ?? 'dynamic';
      known.role.interfaces.push({ instance: host.instance, pattern });
      const own =
        addresses === 'dynamic' || known.addresses === undefined
          ? undefined
          : [...known.addresses, ...addresses.map(({ family, value }) => ({ family, from: value, to: value }))];
      found.set(key, { ...known, addresses: own });
    }
  }
  return [...found.values()];
}

/** Those outside whom a role's rules name. */
function outsidersOf({ rules }: JudgedRole, direction: Direction): readonly Outsider[] {
  const found = new Map<string, Outsider>();
  for (const { remote } of rules[direction]) {
    if (remote.kind === 'addressGroup') found.set(`group ${remote.name}`, { kind: 'addressGroup', name: remote.name });
    if (remote.kind === 'interval' && !isWholeFamily(remote.interval))
      found.set(formatInterval(remote.interval), { kind: 'interval', interval: remote.interval });
  }
  return [...found.values()];
}

const ANYONE = { kind: 'anyone' } as const;

/** Those among an end outside who are denied some of what passes with the end. */
function deniedAmong(question: Asked): readonly Denied[] {
  const { judged, direction, end } = question;
  return deniedBy(judged, direction).filter((denied) => {
    const lost = passing([question], [{ judged, direction, end: denied }]);
    return FAMILIES.some((family) => isAmong(denied, end, family, judged.policy) && !isNothing(lost[family]));
  });
}

/** Those whom rules that deny name. */
function deniedBy({ rules }: JudgedRole, direction: Direction): readonly Denied[] {
  const found = new Map<string, Denied>();
  for (const { remote, action } of rules[direction]) {
    if (action !== 'deny' || remote.kind === 'any') continue;
    if (remote.kind !== 'interval') found.set(`${remote.kind} ${remote.name}`, remote);
    else if (!isWholeFamily(remote.interval)) found.set(formatInterval(remote.interval), remote);
  }
  return [...found.values()];
}

/** Whether somebody of a family is in both, and the end is not within what is denied. */
function isAmong(denied: Denied, end: Outsider, family: Family, policy: HostPolicy): boolean {
  const inner = addressesOf(denied, family, policy);
  if (end.kind === 'anyone') return inner.length > 0;
  const outer = addressesOf(end, family, policy);
  return shared(inner, outer).length > 0 && without(outer, inner).length > 0;
}

function addressesOf(one: Denied, family: Family, { addressGroups, members }: HostPolicy): Region {
  if (one.kind === 'interval') return one.interval.family === family ? [one.interval] : [];
  const entries = one.kind === 'addressGroup' ? addressGroups.get(one.name) : members.get(one.name);
  const of = entries?.[family];
  return of === undefined ? [] : union([...of.hosts, ...of.ranges]);
}

/** What is asked about somebody outside. */
type Asked = Question & { readonly end: Outsider };

/** Whether rules of a role, in a direction, let traffic with an end pass. */
interface Question {
  readonly judged: JudgedRole;
  readonly direction: Direction;
  readonly end: Outsider | Denied | JudgedRole;
}

/** The traffic that passes by all of the questions, if it is more than what passes by the others: all of it, or what is more. */
function beyond(questions: readonly Question[], others: readonly Question[]): FamilyTraffic {
  const [whole, more] = [passing(questions), passing(questions, others)];
  const of = (family: Family): FamilyTraffic[Family] =>
    !isNothing(more[family]) && !isList(whole[family]) ? whole[family] : more[family];
  return { ipv4: of('ipv4'), ipv6: of('ipv6') };
}

/** The traffic that passes by all of the questions, without what passes by all of the others. */
function passing(questions: readonly Question[], others: readonly Question[] = []): FamilyTraffic {
  const of = (family: Family): FamilyTraffic[Family] => {
    const all = [...questions, ...others];
    const lists = all.map(({ judged, direction }) => judged.rules[direction].filter((rule) => rule.family === family));
    const classes = classMembers(
      lists.flat().map(({ traffic }) => traffic),
      family,
    );
    const begins = lists.map((_, i) => lists.slice(0, i).reduce((sum, { length }) => sum + length, 0));
    const matchers = all.map(({ judged, end }) => matchersOf(end, family, judged.policy));
    const passes = (question: number, members: readonly number[]): boolean => {
      const begin = begins[question] ?? 0;
      const list = lists[question] ?? [];
      const own = members.flatMap((member) => list[member - begin] ?? []);
      const ways = matchers[question] ?? [];
      return ways.length > 0 && ways.every((matches) => own.find(({ remote }) => matches(remote))?.action === 'allow');
    };
    const kept = classes.filter(({ members }) => {
      const isPassing = questions.every((_, i) => passes(i, members));
      const isTold = others.length > 0 && others.every((_, i) => passes(questions.length + i, members));
      return isPassing && !isTold;
    });
    const joined = joinClasses(kept.map(({ one }) => one));
    if (joined.length > 0 && isAllTraffic(joined)) return 'all';
    // Where the protocols that no rule names pass, what does not is told in fewer words.
    const isNearlyAll =
      others.length === 0 && joined.some(({ protocols }) => protocols.some(({ from, to }) => from < to));
    const rest = classes.filter((one) => !kept.includes(one)).map(({ one }) => one);
    return isNearlyAll ? { but: joinClasses(rest) } : joined;
  };
  return { ipv4: of('ipv4'), ipv6: of('ipv6') };
}

function isList(traffic: WayTraffic): traffic is readonly TrafficClass[] {
  return Array.isArray(traffic);
}

/** Whether there is no traffic. */
export function isNothing(traffic: WayTraffic): boolean {
  return isList(traffic) && traffic.length === 0;
}

type Matcher = (remote: Remote) => boolean;

/** Which remotes an end is among: one for each of its parts that rules can tell apart; none where it has no part of the family. */
function matchersOf(end: Outsider | Denied | JudgedRole, family: Family, policy: HostPolicy): readonly Matcher[] {
  const isAll = (remote: Remote): boolean => holdsAll(remote, family, policy);
  switch (end.kind) {
    case 'anyone':
      return [isAll];
    case 'addressGroup': {
      const entries = policy.addressGroups.get(end.name)?.[family];
      if (entries === undefined || entries.hosts.length + entries.ranges.length === 0) return [];
      return [(remote) => isAll(remote) || (remote.kind === 'addressGroup' && remote.name === end.name)];
    }
    case 'securityGroup':
      return [(remote) => isAll(remote) || (remote.kind === 'securityGroup' && remote.name === end.name)];
    case 'interval':
      if (end.interval.family !== family) return [];
      return [(remote) => isAll(remote) || holds(remote, end.interval, policy)];
    case 'members': {
      const isOfGroup = (remote: Remote): boolean =>
        isAll(remote) || (remote.kind === 'securityGroup' && end.role.groups.includes(remote.name));
      if (end.addresses === undefined) return [isOfGroup];
      return end.addresses
        .filter((address) => address.family === family)
        .map((address) => (remote) => isOfGroup(remote) || holds(remote, address, policy));
    }
  }
}

function holdsAll(remote: Remote, family: Family, { addressGroups }: HostPolicy): boolean {
  switch (remote.kind) {
    case 'any':
      return true;
    case 'interval':
      return isWholeFamily(remote.interval);
    case 'addressGroup':
      return addressGroups.get(remote.name)?.[family].ranges.some(isWholeFamily) ?? false;
    case 'securityGroup':
      return false;
  }
}

function holds(remote: Remote, interval: Interval, { addressGroups, members }: HostPolicy): boolean {
  const within = (entries: EntriesByFamily | undefined): boolean => {
    const of = entries?.[interval.family];
    return (
      of !== undefined && [...of.hosts, ...of.ranges].some((one) => one.from <= interval.from && interval.to <= one.to)
    );
  };
  switch (remote.kind) {
    case 'any':
      return true;
    case 'interval':
      return (
        remote.interval.family === interval.family &&
        remote.interval.from <= interval.from &&
        interval.to <= remote.interval.to
      );
    case 'addressGroup':
      return within(addressGroups.get(remote.name));
    case 'securityGroup':
      return within(members.get(remote.name));
  }
}
