import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { formatInterval, type Interval, isWholeFamily } from '#core/model/net/interval.ts';
import type { AddressGroupName, GroupName, InstanceName } from '#core/model/policy/names.ts';
import { ENDLESS, OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { Direction, Remote, Rule } from '#core/model/policy/rule.ts';
import { trafficOf } from '#core/meaning/headerspace/grid.ts';
import { Passage, type Passing } from '#core/meaning/headerspace/passage.ts';
import type { Addresses } from '#core/meaning/headerspace/address-line.ts';
import { addressesOf } from '#core/meaning/headerspace/sides.ts';
import {
  classFinder,
  isAllTraffic,
  type TrafficClass,
  trafficClasses,
} from '#core/meaning/headerspace/traffic-classes.ts';

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
  /** Roles of which not all ways were looked for, since nobody waited for it. */
  readonly leftOut: readonly Role[];
}

/**
 * Who can reach whom, on what: from outsiders to roles as the inbound rules say, from roles to outsiders as the outbound
 * rules say, and among roles where both let it pass. Members whose addresses nobody tells are known by their groups alone.
 */
export function reachability(policy: Policy, hosts: readonly HostPolicy[], patience: Patience = ENDLESS): Reachability {
  const judged = judgedRoles(policy, hosts);
  const roles = judged.map(({ role }) => role);
  const ways: Way[] = [];
  const done = new Set<number>();
  try {
    const passages = new Passages(patience);
    for (const to of judged.keys()) {
      ways.push(...waysOf(to, judged, passages));
      done.add(to);
    }
  } catch (error) {
    if (!(error instanceof OutOfPatience)) throw error;
  }
  return {
    roles,
    ways: ways.filter(({ traffic }) => FAMILIES.some((family) => !isNothing(traffic[family]))),
    leftOut: roles.filter((_, place) => !done.has(place)),
  };
}

/** The ways to a role, and from it to outsiders. */
function waysOf(to: number, judged: readonly JudgedRole[], passages: Passages): readonly Way[] {
  const target = judged[to];
  if (target === undefined) return [];
  const self: End = { kind: 'role', role: to };
  return [
    ...outsiderWays(target, 'inbound', passages).map(({ end, ...way }) => ({ from: end, to: self, ...way })),
    ...outsiderWays(target, 'outbound', passages).map(({ end, ...way }) => ({ from: self, to: end, ...way })),
    ...judged.map((source, from) => ({
      from: { kind: 'role', role: from } as const,
      to: self,
      traffic: eachFamily((family) => amongRoles(source, target, { family, passages })),
      but: [],
    })),
  ].toSorted((one, other) => orderOf(one) - orderOf(other));
}

/** What anyone may comes first. */
function orderOf({ from, to }: Pick<Way, 'from' | 'to'>): number {
  return from.kind === 'anyone' || to.kind === 'anyone' ? 0 : 1;
}

function eachFamily<Traffic>(of: (family: Family) => Traffic): Readonly<Record<Family, Traffic>> {
  return { ipv4: of('ipv4'), ipv6: of('ipv6') };
}

/** What passes from or to outsiders: anyone, and those whom a role's rules name, beyond what anyone may. */
function outsiderWays(
  role: JudgedRole,
  direction: Direction,
  passages: Passages,
): readonly (Pick<Way, 'traffic' | 'but'> & { readonly end: Outsider })[] {
  const outsiders: readonly Outsider[] = [ANYONE, ...outsidersOf(role, direction)];
  const traffic = outsiders.map((): Record<Family, WayTraffic> => ({ ipv4: [], ipv6: [] }));
  const but = outsiders.map((): number[][] => []);
  const denied = deniedBy(role, direction);
  for (const family of FAMILIES) {
    const passage = passages.of(role, direction, family);
    const told = passages.ofAnyone(role, direction, family);
    const exceptions = exceptionsOf(denied, { role, direction, family, passages });
    for (const [place, passing] of passingOf(passage, outsiders, { role, family })) {
      const [end, own] = [outsiders[place], traffic[place]];
      if (end === undefined || own === undefined) continue;
      own[family] = end.kind === 'anyone' ? wholeOf(passage, passing) : beyondOf(passage, passing, told);
      if (isNothing(own[family])) continue;
      passages.patience.spend(exceptions.length / 10);
      const rows = end.kind === 'anyone' ? undefined : passage.rowsOf(addressesOfEnd(end, family, role.policy));
      const packed = packedOf(passing);
      const without: number[] = [];
      for (const one of exceptions)
        if (isAmong(one.rows, rows) && losesSome(packed, one.passing)) without.push(one.denied);
      but[place]?.push(without);
    }
  }
  return outsiders.flatMap((end, place) => {
    const own = traffic[place];
    if (own === undefined) return [];
    // Each family has them ascending.
    const [ipv4 = [], ipv6 = []] = but[place] ?? [];
    const places =
      ipv4.length * ipv6.length === 0 ? ipv4.concat(ipv6) : [...new Set([...ipv4, ...ipv6])].toSorted(byNumber);
    return [{ end, traffic: own, but: places.map((one) => denied[one]).filter(isThere) }];
  });
}

function byNumber(a: number, b: number): number {
  return a - b;
}

function isThere(one: Denied | undefined): one is Denied {
  return one !== undefined;
}

const ANYONE = { kind: 'anyone' } as const;

interface OfRole {
  readonly role: JudgedRole;
  readonly family: Family;
}

/** What passes from or to each of the ends, by their places; none for one that has no address of the family. */
function* passingOf(
  passage: Passage,
  ends: readonly (Outsider | Denied)[],
  { role, family }: OfRole,
): Generator<readonly [place: number, passing: Passing]> {
  const intervals = ends.flatMap((end, place) => (end.kind === 'interval' ? [{ end, place }] : []));
  for (const [at, passing] of passage.ofIntervals(intervals.map(({ end }) => end.interval)))
    yield [intervals[at]?.place ?? -1, passing];
  for (const [place, end] of ends.entries()) {
    if (end.kind === 'interval') continue;
    if (end.kind === 'addressGroup' && addressesOf(end, family, role.policy).length === 0) continue;
    yield [
      place,
      passage.of(
        ({ remote }) =>
          holdsAll(remote, family, role.policy) ||
          (end.kind !== 'anyone' && remote.kind === end.kind && remote.name === end.name),
      ),
    ];
  }
}

/** Somebody of a family who is denied something: where on the grid, and what passes with them. */
interface Exception {
  /** The place among those who are denied something. */
  readonly denied: number;
  readonly rows: Int32Array;
  readonly passing: Packed;
}

function exceptionsOf(
  denied: readonly Denied[],
  { role, direction, family, passages }: OfRole & { readonly direction: Direction; readonly passages: Passages },
): readonly Exception[] {
  const passage = passages.of(role, direction, family);
  const found: Exception[] = [];
  for (const [place, passing] of passingOf(passage, denied, { role, family })) {
    const one = denied[place];
    const rows = one === undefined ? undefined : passage.rowsOf(addressesOfEnd(one, family, role.policy));
    if (rows !== undefined && rows.length > 0) found.push({ denied: place, rows, passing: packedOf(passing) });
  }
  return found.toSorted((a, b) => a.denied - b.denied);
}

function addressesOfEnd(end: Denied, family: Family, policy: HostPolicy): Addresses {
  const addresses = addressesOf(end, family, policy);
  return addresses === 'any' ? addresses : addresses.filter((interval) => interval.family === family);
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

/** Whether rows share some with those of an end, and do not hold all of them; an end without is everywhere. */
function isAmong(rows: Int32Array, end: Int32Array | undefined): boolean {
  if (end === undefined) return true;
  let isShared = false;
  let isBeyond = false;
  let range = 0;
  for (let at = 0; at < end.length; at += 2) {
    const [first, last] = [end[at] ?? 0, end[at + 1] ?? 0];
    while (range < rows.length && (rows[range + 1] ?? 0) < first) range += 2;
    const [from, to] = [rows[range] ?? Number.POSITIVE_INFINITY, rows[range + 1] ?? 0];
    if (from <= last) isShared = true;
    // Ranges are no neighbours: what goes on behind one is not held.
    if (from > first || to < last) isBeyond = true;
    if (isShared && isBeyond) return true;
  }
  return false;
}

/** As {@link Passing}, 32 columns a number: any two of thousands may have to be compared. */
type Packed = Int32Array;

function packedOf(passing: Passing): Packed {
  const packed = new Int32Array((passing.length + 31) >> 5);
  for (let column = passing.indexOf(1); column >= 0; column = passing.indexOf(1, column + 1))
    packed[column >> 5] = (packed[column >> 5] ?? 0) | (1 << (column & 31));
  return packed;
}

/** Whether something passes that does not pass the other. */
function losesSome(passing: Packed, other: Packed): boolean {
  for (let word = 0; word < passing.length; word += 1)
    if (((passing[word] ?? 0) & ~(other[word] ?? 0)) !== 0) return true;
  return false;
}

interface OfFamily {
  readonly family: Family;
  readonly passages: Passages;
}

/** What passes from one role to another by the rules of both, beyond what anyone may send there. */
function amongRoles(source: JudgedRole, target: JudgedRole, { family, passages }: OfFamily): WayTraffic {
  const inbound = passages.ofRole(target, 'inbound', source, family);
  const outbound = passages.ofRole(source, 'outbound', target, family);
  if (inbound === undefined || outbound === undefined) return [];
  const [into, out] = [passages.of(target, 'inbound', family), passages.of(source, 'outbound', family)];
  const rules = [...target.rules.inbound, ...source.rules.outbound].filter((rule) => rule.family === family);
  const classes = trafficClasses(
    rules.map(({ traffic }) => traffic),
    family,
  );
  passages.patience.spend(classes.length);
  const [columnIn, columnOut] = [classFinder(into.grid.classes), classFinder(out.grid.classes)];
  const told = passages.ofAnyone(target, 'inbound', family);
  const columns = classes.map((one) => ({ into: columnIn(one), out: columnOut(one) }));
  const passing = Uint8Array.from(columns, (at) => (inbound[at.into] ?? 0) & (outbound[at.out] ?? 0));
  return beyondOf(
    { grid: { classes } },
    passing,
    Uint8Array.from(columns, (at) => told[at.into] ?? 0),
  );
}

/** Classes of traffic, as the columns of a grid are. */
interface Columns {
  readonly grid: { readonly classes: readonly TrafficClass[] };
}

/** What passes; where the protocols that no rule names pass, what does not is told in fewer words. */
function wholeOf({ grid }: Columns, passing: Passing): WayTraffic {
  const traffic = trafficOf(grid, rangesOf(passing, 1));
  if (traffic.length > 0 && isAllTraffic(traffic)) return 'all';
  const isNearlyAll = traffic.some(({ protocols }) => protocols.some(({ from, to }) => from < to));
  return isNearlyAll ? { but: trafficOf(grid, rangesOf(passing, 0)) } : traffic;
}

/** What passes, if it is more than is told of anyone: all of it where that is nearly everything, or else what is more. */
function beyondOf({ grid }: Columns, passing: Passing, told: Passing): WayTraffic {
  const more = passing.map((passes, column) => (passes === 1 && told[column] !== 1 ? 1 : 0));
  if (!more.includes(1)) return [];
  const whole = wholeOf({ grid }, passing);
  return isList(whole) ? trafficOf(grid, rangesOf(more, 1)) : whole;
}

/** The ranges of columns that have this value. */
function rangesOf(passing: Passing, value: 0 | 1): readonly (readonly [number, number])[] {
  const ranges: [number, number][] = [];
  for (let first = passing.indexOf(value); first >= 0; first = passing.indexOf(value, first)) {
    const end = passing.indexOf(1 - value, first);
    const last = (end < 0 ? passing.length : end) - 1;
    ranges.push([first, last]);
    first = last + 1;
  }
  return ranges;
}

/** What the rules of roles let pass; made once, and when it is asked for. */
class Passages {
  readonly patience: Patience;
  readonly #made = new Map<JudgedRole, Map<string, Passage>>();
  readonly #ofAnyone = new Map<Passage, Passing>();

  constructor(patience: Patience) {
    this.patience = patience;
  }

  of(role: JudgedRole, direction: Direction, family: Family): Passage {
    const ofRole = this.#made.get(role) ?? new Map<string, Passage>();
    this.#made.set(role, ofRole);
    const key = `${direction} ${family}`;
    const rules = role.rules[direction].filter((rule) => rule.family === family);
    const passage =
      ofRole.get(key) ??
      new Passage(
        rules.map((rule) => ({ rule, addresses: addressesOf(rule.remote, family, role.policy) })),
        family,
        this.patience,
      );
    ofRole.set(key, passage);
    return passage;
  }

  /** What passes from or to whom no rule names. */
  ofAnyone(role: JudgedRole, direction: Direction, family: Family): Passing {
    const passage = this.of(role, direction, family);
    const known = this.#ofAnyone.get(passage) ?? passage.of(({ remote }) => holdsAll(remote, family, role.policy));
    this.#ofAnyone.set(passage, known);
    return known;
  }

  /** What passes from or to every member of another role; undefined where that is nothing, or it has no member of the family. */
  ofRole(role: JudgedRole, direction: Direction, other: JudgedRole, family: Family): Passing | undefined {
    const passage = this.of(role, direction, family);
    if (other.addresses === undefined)
      return passage.of(
        ({ remote }) =>
          holdsAll(remote, family, role.policy) ||
          (remote.kind === 'securityGroup' && other.role.groups.includes(remote.name)),
      );
    let all: Passing | undefined;
    for (const [, passing] of passage.ofIntervals(other.addresses)) {
      const before: Passing = all ?? passing;
      all = before.map((passes, column) => passes & (passing[column] ?? 0));
    }
    return all?.includes(1) === true ? all : undefined;
  }
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

function isList(traffic: WayTraffic): traffic is readonly TrafficClass[] {
  return Array.isArray(traffic);
}

/** Whether there is no traffic. */
export function isNothing(traffic: WayTraffic): boolean {
  return isList(traffic) && traffic.length === 0;
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
