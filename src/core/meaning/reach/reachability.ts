import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { formatInterval, type Interval, isWholeFamily } from '#core/model/net/interval.ts';
import type { AddressGroupName, GroupName, InstanceName } from '#core/model/policy/names.ts';
import { ENDLESS, OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { Direction, Remote, Rule } from '#core/model/policy/rule.ts';
import { trafficOf } from '#core/meaning/headerspace/grid.ts';
import { AllowedTraffic, type AllowedColumns } from '#core/meaning/headerspace/allowed-traffic.ts';
import type { Addresses } from '#core/meaning/headerspace/address-partition.ts';
import { addressesOf } from '#core/meaning/headerspace/rule-list.ts';
import { atomFinder, isAllTraffic, type TrafficAtom, trafficAtoms } from '#core/meaning/headerspace/traffic-atoms.ts';

/** Interfaces that carry the same groups, and so are judged alike. */
export interface InterfaceGroup {
  readonly groups: readonly GroupName[];
  readonly interfaces: readonly { readonly instance: InstanceName; readonly pattern: string }[];
}

/** Somebody who is no interface of the policy. */
export type ExternalEndpoint =
  /** Whom no rule names. */
  | { readonly kind: 'anyone' }
  | { readonly kind: 'addressGroup'; readonly name: AddressGroupName }
  | { readonly kind: 'interval'; readonly interval: Interval };

/** One end of a way: a role by its place among them, or somebody else. */
export type Endpoint = { readonly kind: 'interfaceGroup'; readonly group: number } | ExternalEndpoint;

/** Traffic; `all` is every protocol, an empty list none, and `but` is all without some. */
export type EdgeTraffic = readonly TrafficAtom[] | 'all' | { readonly except: readonly TrafficAtom[] };

/** Traffic of each family. */
export type FamilyTraffic = Readonly<Record<Family, EdgeTraffic>>;

/** What new connections pass from one end to another; of what anyone may, others are not told again. */
export interface ReachabilityEdge {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly traffic: FamilyTraffic;
  /** Who is among the end outside, and is denied some of the traffic: named by rules that deny. */
  readonly except: readonly DeniedRemote[];
}

/** Somebody whom a rule that denies names. */
export type DeniedRemote =
  | Exclude<ExternalEndpoint, { readonly kind: 'anyone' }>
  | { readonly kind: 'securityGroup'; readonly name: GroupName };

/** Who reaches whom. */
export interface Reachability {
  readonly groups: readonly InterfaceGroup[];
  readonly edges: readonly ReachabilityEdge[];
  /** Roles of which not all ways were looked for, since nobody waited for it. */
  readonly leftOut: readonly InterfaceGroup[];
}

/**
 * Who can reach whom, on what: from outsiders to roles as the inbound rules say, from roles to outsiders as the outbound
 * rules say, and among roles where both let it pass. Members whose addresses nobody tells are known by their groups alone.
 */
export function reachability(policy: Policy, hosts: readonly HostPolicy[], patience: Patience = ENDLESS): Reachability {
  const judged = evaluatedGroups(policy, hosts);
  const roles = judged.map(({ role }) => role);
  const ways: ReachabilityEdge[] = [];
  const done = new Set<number>();
  try {
    const passages = new AllowedTrafficCache(patience);
    for (const to of judged.keys()) {
      ways.push(...edgesOf(to, judged, passages));
      done.add(to);
    }
  } catch (error) {
    if (!(error instanceof OutOfPatience)) throw error;
  }
  return {
    groups: roles,
    edges: ways.filter(({ traffic }) => FAMILIES.some((family) => !isNothing(traffic[family]))),
    leftOut: roles.filter((_, place) => !done.has(place)),
  };
}

/** The ways to a role, and from it to outsiders. */
function edgesOf(
  to: number,
  judged: readonly EvaluatedGroup[],
  passages: AllowedTrafficCache,
): readonly ReachabilityEdge[] {
  const target = judged[to];
  if (target === undefined) return [];
  const self: Endpoint = { kind: 'interfaceGroup', group: to };
  return [
    ...externalEdges(target, 'inbound', passages).map(({ end, ...way }) => ({ from: end, to: self, ...way })),
    ...externalEdges(target, 'outbound', passages).map(({ end, ...way }) => ({ from: self, to: end, ...way })),
    ...judged.map((source, from) => ({
      from: { kind: 'interfaceGroup', group: from } as const,
      to: self,
      traffic: eachFamily((family) => amongRoles(source, target, { family, passages })),
      except: [],
    })),
  ].toSorted((one, other) => edgeOrder(one) - edgeOrder(other));
}

/** What anyone may comes first. */
function edgeOrder({ from, to }: Pick<ReachabilityEdge, 'from' | 'to'>): number {
  return from.kind === 'anyone' || to.kind === 'anyone' ? 0 : 1;
}

function eachFamily<Traffic>(of: (family: Family) => Traffic): Readonly<Record<Family, Traffic>> {
  return { ipv4: of('ipv4'), ipv6: of('ipv6') };
}

/** What passes from or to outsiders: anyone, and those whom a role's rules name, beyond what anyone may. */
function externalEdges(
  role: EvaluatedGroup,
  direction: Direction,
  passages: AllowedTrafficCache,
): readonly (Pick<ReachabilityEdge, 'traffic' | 'except'> & { readonly end: ExternalEndpoint })[] {
  const outsiders: readonly ExternalEndpoint[] = [ANYONE, ...externalEndpointsOf(role, direction)];
  const traffic = outsiders.map((): Record<Family, EdgeTraffic> => ({ ipv4: [], ipv6: [] }));
  const but = outsiders.map((): number[][] => []);
  const denied = deniedBy(role, direction);
  for (const family of FAMILIES) {
    const passage = passages.of(role, direction, family);
    const told = passages.fromAnyone(role, direction, family);
    const exceptions = exceptionsOf(denied, { role, direction, family, passages });
    for (const [place, passing] of allowedTrafficOf(passage, outsiders, { role, family })) {
      const [end, own] = [outsiders[place], traffic[place]];
      if (end === undefined || own === undefined) continue;
      own[family] = end.kind === 'anyone' ? wholeOf(passage, passing) : trafficBeyond(passage, passing, told);
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
    return [{ end, traffic: own, except: places.map((one) => denied[one]).filter(isThere) }];
  });
}

function byNumber(a: number, b: number): number {
  return a - b;
}

function isThere(one: DeniedRemote | undefined): one is DeniedRemote {
  return one !== undefined;
}

const ANYONE = { kind: 'anyone' } as const;

interface GroupAndFamily {
  readonly role: EvaluatedGroup;
  readonly family: Family;
}

/** What passes from or to each of the ends, by their places; none for one that has no address of the family. */
function* allowedTrafficOf(
  passage: AllowedTraffic,
  ends: readonly (ExternalEndpoint | DeniedRemote)[],
  { role, family }: GroupAndFamily,
): Generator<readonly [place: number, passing: AllowedColumns]> {
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
  readonly passing: PackedColumns;
}

function exceptionsOf(
  denied: readonly DeniedRemote[],
  {
    role,
    direction,
    family,
    passages,
  }: GroupAndFamily & { readonly direction: Direction; readonly passages: AllowedTrafficCache },
): readonly Exception[] {
  const passage = passages.of(role, direction, family);
  const found: Exception[] = [];
  for (const [place, passing] of allowedTrafficOf(passage, denied, { role, family })) {
    const one = denied[place];
    const rows = one === undefined ? undefined : passage.rowsOf(addressesOfEnd(one, family, role.policy));
    if (rows !== undefined && rows.length > 0) found.push({ denied: place, rows, passing: packedOf(passing) });
  }
  return found.toSorted((a, b) => a.denied - b.denied);
}

function addressesOfEnd(end: DeniedRemote, family: Family, policy: HostPolicy): Addresses {
  const addresses = addressesOf(end, family, policy);
  return addresses === 'any' ? addresses : addresses.filter((interval) => interval.family === family);
}

/** Those whom rules that deny name. */
function deniedBy({ rules }: EvaluatedGroup, direction: Direction): readonly DeniedRemote[] {
  const found = new Map<string, DeniedRemote>();
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

/** As {@link AllowedColumns}, 32 columns a number: any two of thousands may have to be compared. */
type PackedColumns = Int32Array;

function packedOf(passing: AllowedColumns): PackedColumns {
  const packed = new Int32Array((passing.length + 31) >> 5);
  for (let column = passing.indexOf(1); column >= 0; column = passing.indexOf(1, column + 1))
    packed[column >> 5] = (packed[column >> 5] ?? 0) | (1 << (column & 31));
  return packed;
}

/** Whether something passes that does not pass the other. */
function losesSome(passing: PackedColumns, other: PackedColumns): boolean {
  for (let word = 0; word < passing.length; word += 1)
    if (((passing[word] ?? 0) & ~(other[word] ?? 0)) !== 0) return true;
  return false;
}

interface OfFamily {
  readonly family: Family;
  readonly passages: AllowedTrafficCache;
}

/** What passes from one role to another by the rules of both, beyond what anyone may send there. */
function amongRoles(source: EvaluatedGroup, target: EvaluatedGroup, { family, passages }: OfFamily): EdgeTraffic {
  const inbound = passages.ofRole(target, 'inbound', source, family);
  const outbound = passages.ofRole(source, 'outbound', target, family);
  if (inbound === undefined || outbound === undefined) return [];
  const [into, out] = [passages.of(target, 'inbound', family), passages.of(source, 'outbound', family)];
  const rules = [...target.rules.inbound, ...source.rules.outbound].filter((rule) => rule.family === family);
  const atoms = trafficAtoms(
    rules.map(({ traffic }) => traffic),
    family,
  );
  passages.patience.spend(atoms.length);
  const [columnIn, columnOut] = [atomFinder(into.grid.atoms), atomFinder(out.grid.atoms)];
  const told = passages.fromAnyone(target, 'inbound', family);
  const columns = atoms.map((one) => ({ into: columnIn(one), out: columnOut(one) }));
  const passing = Uint8Array.from(columns, (at) => (inbound[at.into] ?? 0) & (outbound[at.out] ?? 0));
  return trafficBeyond(
    { grid: { atoms } },
    passing,
    Uint8Array.from(columns, (at) => told[at.into] ?? 0),
  );
}

/** Classes of traffic, as the columns of a grid are. */
interface Columns {
  readonly grid: { readonly atoms: readonly TrafficAtom[] };
}

/** What passes; where the protocols that no rule names pass, what does not is told in fewer words. */
function wholeOf({ grid }: Columns, passing: AllowedColumns): EdgeTraffic {
  const traffic = trafficOf(grid, rangesOf(passing, 1));
  if (traffic.length > 0 && isAllTraffic(traffic)) return 'all';
  const isNearlyAll = traffic.some(({ protocols }) => protocols.some(({ from, to }) => from < to));
  return isNearlyAll ? { except: trafficOf(grid, rangesOf(passing, 0)) } : traffic;
}

/** What passes, if it is more than is told of anyone: all of it where that is nearly everything, or else what is more. */
function trafficBeyond({ grid }: Columns, passing: AllowedColumns, told: AllowedColumns): EdgeTraffic {
  const more = passing.map((passes, column) => (passes === 1 && told[column] !== 1 ? 1 : 0));
  if (!more.includes(1)) return [];
  const whole = wholeOf({ grid }, passing);
  return isList(whole) ? trafficOf(grid, rangesOf(more, 1)) : whole;
}

/** The ranges of columns that have this value. */
function rangesOf(passing: AllowedColumns, value: 0 | 1): readonly (readonly [number, number])[] {
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
class AllowedTrafficCache {
  readonly patience: Patience;
  readonly #made = new Map<EvaluatedGroup, Map<string, AllowedTraffic>>();
  readonly #ofAnyone = new Map<AllowedTraffic, AllowedColumns>();

  constructor(patience: Patience) {
    this.patience = patience;
  }

  of(role: EvaluatedGroup, direction: Direction, family: Family): AllowedTraffic {
    const ofRole = this.#made.get(role) ?? new Map<string, AllowedTraffic>();
    this.#made.set(role, ofRole);
    const key = `${direction} ${family}`;
    const rules = role.rules[direction].filter((rule) => rule.family === family);
    const passage =
      ofRole.get(key) ??
      new AllowedTraffic(
        rules.map((rule) => ({ rule, addresses: addressesOf(rule.remote, family, role.policy) })),
        family,
        this.patience,
      );
    ofRole.set(key, passage);
    return passage;
  }

  /** What passes from or to whom no rule names. */
  fromAnyone(role: EvaluatedGroup, direction: Direction, family: Family): AllowedColumns {
    const passage = this.of(role, direction, family);
    const known = this.#ofAnyone.get(passage) ?? passage.of(({ remote }) => holdsAll(remote, family, role.policy));
    this.#ofAnyone.set(passage, known);
    return known;
  }

  /** What passes from or to every member of another role; undefined where that is nothing, or it has no member of the family. */
  ofRole(
    role: EvaluatedGroup,
    direction: Direction,
    other: EvaluatedGroup,
    family: Family,
  ): AllowedColumns | undefined {
    const passage = this.of(role, direction, family);
    if (other.addresses === undefined)
      return passage.of(
        ({ remote }) =>
          holdsAll(remote, family, role.policy) ||
          (remote.kind === 'securityGroup' && other.role.groups.includes(remote.name)),
      );
    let all: AllowedColumns | undefined;
    for (const [, passing] of passage.ofIntervals(other.addresses)) {
      const before: AllowedColumns = all ?? passing;
      all = before.map((passes, column) => passes & (passing[column] ?? 0));
    }
    return all?.includes(1) === true ? all : undefined;
  }
}

interface EvaluatedGroup {
  readonly kind: 'members';
  readonly role: InterfaceGroup;
  readonly policy: HostPolicy;
  readonly rules: Readonly<Record<Direction, readonly Rule[]>>;
  /** Undefined where nobody tells all of them. */
  readonly addresses: readonly Interval[] | undefined;
}

function evaluatedGroups(policy: Policy, hosts: readonly HostPolicy[]): readonly EvaluatedGroup[] {
  const found = new Map<
    string,
    EvaluatedGroup & { readonly role: { readonly interfaces: InterfaceGroup['interfaces'][number][] } }
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
function externalEndpointsOf({ rules }: EvaluatedGroup, direction: Direction): readonly ExternalEndpoint[] {
  const found = new Map<string, ExternalEndpoint>();
  for (const { remote } of rules[direction]) {
    if (remote.kind === 'addressGroup') found.set(`group ${remote.name}`, { kind: 'addressGroup', name: remote.name });
    if (remote.kind === 'interval' && !isWholeFamily(remote.interval))
      found.set(formatInterval(remote.interval), { kind: 'interval', interval: remote.interval });
  }
  return [...found.values()];
}

function isList(traffic: EdgeTraffic): traffic is readonly TrafficAtom[] {
  return Array.isArray(traffic);
}

/** Whether there is no traffic. */
export function isNothing(traffic: EdgeTraffic): boolean {
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
