import type { AddressEntries } from '#core/model/net/address-entries.ts';
import type { Interval } from '#core/model/net/interval.ts';

/** All addresses that are in just these groups. */
export interface AddressClass {
  /** Made of the groups' names, so that it is the same whatever other classes there are. */
  readonly name: string;
  /** Keys of groups, ascending. */
  readonly groups: readonly string[];
}

/** Addresses and the class each is in. */
export interface ClassifiedInterval {
  readonly interval: Interval;
  readonly of: AddressClass;
}

/** The addresses that are in any group, by class: hosts, to be looked up first, and disjoint ranges; both ascending. */
export interface AddressClasses {
  readonly classes: readonly AddressClass[];
  readonly hosts: readonly ClassifiedInterval[];
  readonly ranges: readonly ClassifiedInterval[];
}

/** Names longer than this are cut and numbered: the kernel takes names of 255 bytes, and others are made from this one. */
const LONGEST_NAME = 100;

/** Sorts the addresses of groups of one family into classes. `groups` are by key, in any order. */
export function classifyAddresses(groups: ReadonlyMap<string, AddressEntries>): AddressClasses {
  const keys = [...groups.keys()].toSorted();
  const combinations = createCombinations();
  const ranges = sweep(
    keys.map((key) => groups.get(key)?.ranges ?? []),
    combinations,
  );
  const hosts = mergeHosts(
    keys.map((key) => groups.get(key)?.hosts ?? []),
    combinations,
  );
  const classified = hosts.map(({ interval, combination }) => ({
    interval,
    combination: combinations.union(combination, holding(ranges, interval.from)),
  }));
  const classes = nameClasses([...classified, ...ranges], keys, combinations);
  const of = ({ interval, combination }: Combined): ClassifiedInterval => ({
    interval,
    of: classes.get(combination) ?? unknown(),
  });
  return { classes: [...classes.values()], hosts: classified.map(of), ranges: ranges.map(of) };
}

interface Combined {
  readonly interval: Interval;
  readonly combination: number;
}

/** Sets of groups by number, each once; 0 is the empty one. */
interface Combinations {
  with(combination: number, group: number): number;
  union(a: number, b: number): number;
  readonly groupsOf: (combination: number) => readonly number[];
}

function createCombinations(): Combinations {
  const lists: (readonly number[])[] = [[]];
  const known = new Map<string, number>([['', 0]]);
  const steps = new Map<string, number>();
  const intern = (groups: readonly number[]): number => {
    const text = groups.join(',');
    const found = known.get(text);
    if (found !== undefined) return found;
    known.set(text, lists.length);
    return lists.push(groups) - 1;
  };
  const combine = (a: number, others: readonly number[]): number =>
    intern([...new Set([...(lists[a] ?? []), ...others])].toSorted((x, y) => x - y));
  const remembered = (step: string, make: () => number): number => {
    const found = steps.get(step) ?? make();
    steps.set(step, found);
    return found;
  };
  return {
    with: (combination, group) => remembered(`${combination}+${group}`, () => combine(combination, [group])),
    union: (a, b) => (b === 0 ? a : remembered(`${a}|${b}`, () => combine(a, lists[b] ?? []))),
    groupsOf: (combination) => lists[combination] ?? [],
  };
}

/**
 * The hosts of several groups, ascending, each once with the groups that hold it. Sorted rather than collected in a Map:
 * V8 hashes the low 64 bits of a bigint alone, and those can be the same in thousands of IPv6 networks.
 */
function mergeHosts(lists: readonly (readonly Interval[])[], combinations: Combinations): Combined[] {
  const entries = lists.flatMap((hosts, group) => hosts.map((interval) => ({ interval, group })));
  // The sort is stable: of one address, groups stay in order.
  entries.sort((a, b) => (a.interval.from < b.interval.from ? -1 : a.interval.from > b.interval.from ? 1 : 0));
  const merged: Combined[] = [];
  for (const { interval, group } of entries) {
    const last = merged.at(-1);
    if (last?.interval.from === interval.from)
      merged[merged.length - 1] = { interval: last.interval, combination: combinations.with(last.combination, group) };
    else merged.push({ interval, combination: combinations.with(0, group) });
  }
  return merged;
}

/** The ranges of several groups as disjoint ones, each with the groups that hold it. */
function sweep(lists: readonly (readonly Interval[])[], combinations: Combinations): Combined[] {
  const ends = lists.flatMap((intervals, group) =>
    intervals.flatMap(({ family, from, to }) => [
      { at: from, family, group, opens: true },
      { at: to + 1n, family, group, opens: false },
    ]),
  );
  ends.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const open = new Set<number>();
  const disjoint: Combined[] = [];
  ends.forEach(({ at, family, group, opens }, i) => {
    if (opens) open.add(group);
    else open.delete(group);
    const next = ends[i + 1];
    if (next === undefined || next.at === at || open.size === 0) return;
    const combination = [...open].reduce((sum, one) => combinations.with(sum, one), 0);
    disjoint.push({ interval: { family, from: at, to: next.at - 1n }, combination });
  });
  return disjoint;
}

/** The combination of the range that holds an address; 0 where none does. */
function holding(ranges: readonly Combined[], value: bigint): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle]?.interval.to ?? 0n) < value) low = middle + 1;
    else high = middle;
  }
  const found = ranges[low];
  return found !== undefined && found.interval.from <= value ? found.combination : 0;
}

function nameClasses(
  combined: readonly Combined[],
  keys: readonly string[],
  { groupsOf }: Combinations,
): ReadonlyMap<number, AddressClass> {
  const used = [...new Set(combined.map(({ combination }) => combination))]
    .map((combination) => ({ combination, groups: groupsOf(combination).map((group) => keys[group] ?? unknown()) }))
    .map((one) => ({ ...one, text: one.groups.join('.and.') }))
    .toSorted((a, b) => (a.text < b.text ? -1 : 1));
  const taken = new Set<string>();
  return new Map(
    used.map(({ combination, groups, text }) => {
      const base = text.slice(0, LONGEST_NAME);
      let name = base;
      for (let n = 2; taken.has(name); n += 1) name = `${base}.${n}`;
      taken.add(name);
      return [combination, { name, groups }];
    }),
  );
}

function unknown(): never {
  throw new Error('an address is in a group that is not there');
}
