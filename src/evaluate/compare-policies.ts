import { FAMILIES, type Family } from '../model/address.ts';
import type { AddressEntries, EntriesByFamily } from '../model/address-entries.ts';
import { type Binding, type HostPolicy, patternMatches } from '../model/host.ts';
import { type Interval, isWholeFamily } from '../model/interval.ts';
import { PLATFORM_FLOWS } from '../model/platform.ts';
import type { Action, Direction, Remote, Rule, Traffic } from '../model/rule.ts';
import { type Addresses, addressLine } from './address-line.ts';
import { classMatches, isAllTraffic, joinClasses, type TrafficClass, trafficClasses } from './traffic-classes.ts';

/** What decides on packets of new flows. */
export interface Decider {
  readonly action: Action;
  /** `default`: no rule is about them. `unmanaged`: the policy does not name the interface, and lets everything pass there. */
  readonly reason: 'rule' | 'management' | 'platform' | 'default' | 'unmanaged';
  readonly rule: Rule | undefined;
}

/** Packets of new flows that two policies judge otherwise, all of them by the same two deciders. */
export interface Difference {
  /** The interface, or the glob of interfaces that no longer pattern names; undefined is every one that neither policy names. */
  readonly interface: string | undefined;
  readonly direction: Direction;
  readonly family: Family;
  readonly before: Decider;
  readonly after: Decider;
  /** `all` is every protocol. */
  readonly traffic: readonly TrafficClass[] | 'all';
  /** Where inbound packets come from and outbound ones go to; disjoint and ascending; `any` is every address. */
  readonly remotes: readonly Interval[] | 'any';
}

const DIRECTIONS: readonly Direction[] = ['inbound', 'outbound'];

/**
 * The packets of new flows that `before` and `after` judge otherwise: exactly these, but for built-in traffic that is
 * told by more than its type and remote (DHCP by its source port, neighbour discovery by its hop limit), which passes
 * whatever rules say. Costs what the policies differ in, beside a look at all of both.
 */
export function comparePolicies(before: HostPolicy, after: HostPolicy): readonly Difference[] {
  return interfaceClasses(before, after).flatMap((named) =>
    DIRECTIONS.flatMap((direction) =>
      FAMILIES.flatMap((family) => {
        const side = (policy: HostPolicy): Side => sideOf(policy, named, { direction, family });
        return compareSides(side(before), side(after), family).map((one) => ({
          interface: named,
          direction,
          family,
          ...one,
        }));
      }),
    ),
  );
}

/** Interfaces that each of the policies judges by one binding: their names, and globs without what longer patterns name. */
function interfaceClasses(...policies: readonly HostPolicy[]): readonly (string | undefined)[] {
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

interface Candidate {
  readonly traffic: Traffic;
  readonly addresses: Addresses;
  /** Equal for candidates that do the same to the same addresses. */
  readonly meaning: string;
  readonly decider: Decider;
}

/** What judges packets of one family, one direction and one kind of interface: the first that is about them, else the rest. */
interface Side {
  readonly candidates: readonly Candidate[];
  readonly rest: Decider;
}

interface Judged {
  readonly direction: Direction;
  readonly family: Family;
}

function sideOf(policy: HostPolicy, named: string | undefined, { direction, family }: Judged): Side {
  const binding = bindingOf(policy, named);
  if (binding === undefined && policy.unmanagedInterfaces === 'allow')
    return { candidates: [], rest: { action: 'allow', reason: 'unmanaged', rule: undefined } };
  const rules = [...policy.management[direction], ...(binding?.[direction] ?? [])];
  const own = rules.filter((rule) => rule.family === family);
  return {
    candidates: [
      ...platformCandidates(policy, { direction, family }),
      ...own.flatMap((rule) => candidateOf(rule, policy)),
    ],
    rest: { action: 'deny', reason: 'default', rule: undefined },
  };
}

/** Built-in traffic that is told by its type and its remote alone. */
function platformCandidates({ platform }: HostPolicy, { direction, family }: Judged): readonly Candidate[] {
  return PLATFORM_FLOWS.flatMap((flow): Candidate[] => {
    const { match, source } = flow;
    if (!platform[flow.name] || flow.direction !== direction || flow.family !== family) return [];
    if (match.kind !== 'icmpv6' || match.hopLimit !== undefined || direction !== 'inbound') return [];
    const addresses = source ?? 'any';
    const { code } = match;
    return match.types.map((type) => ({
      traffic: { kind: 'icmp', protocol: 58, type, code },
      addresses,
      meaning: `allow ${textOf(addresses)}`,
      decider: { action: 'allow', reason: 'platform', rule: undefined },
    }));
  });
}

function candidateOf(rule: Rule, policy: HostPolicy): readonly Candidate[] {
  const addresses = addressesOf(rule.remote, rule.family, policy);
  if (addresses !== 'any' && addresses.length === 0) return [];
  const reason = rule.origin.group === undefined ? 'management' : 'rule';
  return [
    {
      traffic: rule.traffic,
      addresses,
      meaning: `${rule.action} ${textOf(addresses)}`,
      decider: { action: rule.action, reason, rule },
    },
  ];
}

function addressesOf(remote: Remote, family: Family, { addressGroups, members }: HostPolicy): Addresses {
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

const texts = new WeakMap<readonly Interval[], string>();

function textOf(addresses: Addresses): string {
  if (addresses === 'any') return 'any';
  const known = texts.get(addresses);
  if (known !== undefined) return known;
  const made = addresses.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)).join(',');
  texts.set(addresses, made);
  return made;
}

type Told = Pick<Difference, 'before' | 'after' | 'traffic' | 'remotes'>;

function compareSides(before: Side, after: Side, family: Family): readonly Told[] {
  const traffics = [...before.candidates, ...after.candidates].map(({ traffic }) => traffic);
  const classes = trafficClasses(traffics, family);
  const found = new DifferencesByDeciders();
  // Most classes are judged like others: what was found for one holds for all of them.
  const known = new Map<string, readonly Piece[]>();
  const [idsBefore, idsAfter] = [new Map<Candidate, number>(), new Map<Candidate, number>()];
  before.candidates.forEach((one, id) => idsBefore.set(one, id));
  after.candidates.forEach((one, id) => idsAfter.set(one, id));
  for (const one of classes) {
    const [was, is] = [judging(before, one), judging(after, one)];
    if (meansSame(was, is)) continue;
    const key = `${was.candidates.map((candidate) => idsBefore.get(candidate)).join()} ${is.candidates
      .map((candidate) => idsAfter.get(candidate))
      .join()}`;
    const pieces = known.get(key) ?? differingPieces(was, is, family);
    known.set(key, pieces);
    for (const piece of pieces) found.add(piece, one);
  }
  return found.all();
}

/** What of a side is about a class of traffic, up to the first that is about all addresses. */
function judging({ candidates, rest }: Side, one: TrafficClass): Side {
  const about = candidates.filter(({ traffic }) => classMatches(traffic, one));
  const last = about.findIndex(({ addresses }) => addresses === 'any');
  return { candidates: last < 0 ? about : about.slice(0, last + 1), rest };
}

function meansSame(one: Side, other: Side): boolean {
  return (
    one.rest.action === other.rest.action &&
    one.candidates.length === other.candidates.length &&
    one.candidates.every(({ meaning }, i) => meaning === other.candidates[i]?.meaning)
  );
}

interface Piece {
  readonly interval: Interval;
  readonly before: Decider;
  readonly after: Decider;
}

function differingPieces(before: Side, after: Side, family: Family): readonly Piece[] {
  const lineOf = ({ candidates }: Side) =>
    addressLine(
      candidates.map(({ addresses }) => addresses),
      family,
    );
  const deciderOf = ({ candidates, rest }: Side, place: number | undefined): Decider =>
    (place === undefined ? undefined : candidates[place]?.decider) ?? rest;
  const [was, is] = [lineOf(before), lineOf(after)];
  const pieces: Piece[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [was[i], is[j]];
    if (a === undefined || b === undefined) return pieces;
    const [one, other] = [deciderOf(before, a.decider), deciderOf(after, b.decider)];
    if (one.action !== other.action) {
      const from = a.from > b.from ? a.from : b.from;
      const to = a.to < b.to ? a.to : b.to;
      pieces.push({ interval: { family, from, to }, before: one, after: other });
    }
    if (a.to <= b.to) i += 1;
    if (b.to <= a.to) j += 1;
  }
}

interface Deciders {
  readonly before: Decider;
  readonly after: Decider;
  readonly byClass: Map<TrafficClass, Interval[]>;
}

/** Differences by the two that decide: a box for the classes that the same addresses are told of. */
class DifferencesByDeciders {
  readonly #byDeciders = new Map<string, Deciders>();
  readonly #ids = new Map<Decider, number>();

  add({ interval, before, after }: Piece, one: TrafficClass): void {
    const key = `${this.#idOf(before)} ${this.#idOf(after)}`;
    const entry = this.#byDeciders.get(key) ?? { before, after, byClass: new Map<TrafficClass, Interval[]>() };
    this.#byDeciders.set(key, entry);
    const intervals = entry.byClass.get(one) ?? [];
    entry.byClass.set(one, intervals);
    intervals.push(interval);
  }

  all(): readonly Told[] {
    return [...this.#byDeciders.values()].flatMap(({ before, after, byClass }) => {
      const boxes = new Map<string, { readonly classes: TrafficClass[]; readonly intervals: readonly Interval[] }>();
      for (const [one, pieces] of byClass) {
        const intervals = joinIntervals(pieces);
        const key = textOf(intervals);
        const box = boxes.get(key) ?? { classes: [], intervals };
        boxes.set(key, box);
        box.classes.push(one);
      }
      return [...boxes.values()].map(({ classes, intervals }): Told => {
        const joined = joinClasses(classes);
        return {
          before,
          after,
          traffic: isAllTraffic(joined) ? 'all' : joined,
          remotes: intervals.every(isWholeFamily) ? 'any' : intervals,
        };
      });
    });
  }

  #idOf(decider: Decider): number {
    const id = this.#ids.get(decider) ?? this.#ids.size;
    this.#ids.set(decider, id);
    return id;
  }
}

/** Ascending intervals, neighbouring ones as one. */
function joinIntervals(intervals: readonly Interval[]): readonly Interval[] {
  const joined: Interval[] = [];
  for (const next of intervals) {
    const last = joined.at(-1);
    if (last !== undefined && last.to + 1n === next.from) joined[joined.length - 1] = { ...last, to: next.to };
    else joined.push(next);
  }
  return joined;
}
