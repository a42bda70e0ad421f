import type { AddressEntries } from '#core/model/net/address-entries.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { lowerBound } from '#core/model/net/lower-bound.ts';

/** The addresses that are in exactly these groups. */
export interface AddressClass {
  /** Made of the groups' names, so that it does not depend on other classes. */
  readonly name: string;
  /** Keys of groups, ascending. */
  readonly groups: readonly string[];
}

/** An interval of addresses and the class they are in. */
export interface ClassifiedInterval {
  readonly interval: Interval;
  readonly addressClass: AddressClass;
}

/** The addresses that are in any group, by class: hosts, which are looked up first, and disjoint ranges; both ascending. */
export interface AddressClasses {
  readonly classes: readonly AddressClass[];
  readonly hosts: readonly ClassifiedInterval[];
  readonly ranges: readonly ClassifiedInterval[];
}

/** Longer names are cut and numbered: the kernel takes names of 255 bytes, and other names contain this one. */
const MAX_NAME_LENGTH = 100;

/** Sorts the addresses of one family's groups into classes. `groups` is keyed by group, in any order. */
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
    combination: combinations.union(combination, combinationAt(ranges, interval.from)),
  }));
  const classes = nameClasses([...classified, ...ranges], keys, combinations);
  const classify = ({ interval, combination }: Combined): ClassifiedInterval => ({
    interval,
    addressClass: classes.get(combination) ?? missingGroup(),
  });
  return { classes: [...classes.values()], hosts: classified.map(classify), ranges: ranges.map(classify) };
}

interface Combined {
  readonly interval: Interval;
  readonly combination: number;
}

/** Sets of groups, each with a number; 0 is the empty set. */
interface Combinations {
  with(combination: number, group: number): number;
  union(a: number, b: number): number;
  readonly groupsOf: (combination: number) => readonly number[];
}

function createCombinations(): Combinations {
  const lists: (readonly number[])[] = [[]];
  const numbers = new Map<string, number>([['', 0]]);
  const steps = new Map<string, number>();
  const intern = (groups: readonly number[]): number => {
    const text = groups.join(',');
    const existing = numbers.get(text);
    if (existing !== undefined) return existing;
    numbers.set(text, lists.length);
    return lists.push(groups) - 1;
  };
  const combine = (a: number, added: readonly number[]): number =>
    intern([...new Set([...(lists[a] ?? []), ...added])].toSorted((x, y) => x - y));
  const memoized = (step: string, make: () => number): number => {
    const result = steps.get(step) ?? make();
    steps.set(step, result);
    return result;
  };
  return {
    with: (combination, group) => memoized(`${combination}+${group}`, () => combine(combination, [group])),
    union: (a, b) => (b === 0 ? a : memoized(`${a}|${b}`, () => combine(a, lists[b] ?? []))),
    groupsOf: (combination) => lists[combination] ?? [],
  };
}

/**
 * The hosts of several groups, ascending, each once with the groups that contain it. Sorted rather than collected in a
 * Map: V8 hashes only the low 64 bits of a bigint, which can be the same in thousands of IPv6 networks.
 */
function mergeHosts(lists: readonly (readonly Interval[])[], combinations: Combinations): Combined[] {
  const entries = lists.flatMap((hosts, group) => hosts.map((interval) => ({ interval, group })));
  // The sort is stable, so the groups of an address stay in order.
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

/** Splits the ranges of several groups into disjoint ones, each with the groups that contain it. */
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
    const combination = [...open].reduce((sum, openGroup) => combinations.with(sum, openGroup), 0);
    disjoint.push({ interval: { family, from: at, to: next.at - 1n }, combination });
  });
  return disjoint;
}

/** The combination of the range that contains an address; 0 if none does. */
function combinationAt(ranges: readonly Combined[], value: bigint): number {
  const range = ranges[lowerBound(ranges.length, (index) => (ranges[index]?.interval.to ?? 0n) < value)];
  return range !== undefined && range.interval.from <= value ? range.combination : 0;
}

function nameClasses(
  combined: readonly Combined[],
  keys: readonly string[],
  { groupsOf }: Combinations,
): ReadonlyMap<number, AddressClass> {
  const used = [...new Set(combined.map(({ combination }) => combination))]
    .map((combination) => ({
      combination,
      groups: groupsOf(combination).map((group) => keys[group] ?? missingGroup()),
    }))
    .map((entry) => ({ ...entry, text: entry.groups.join('.and.') }))
    .toSorted((a, b) => (a.text < b.text ? -1 : 1));
  const taken = new Set<string>();
  return new Map(
    used.map(({ combination, groups, text }) => {
      const base = text.slice(0, MAX_NAME_LENGTH);
      let name = base;
      for (let n = 2; taken.has(name); n += 1) name = `${base}.${n}`;
      taken.add(name);
      return [combination, { name, groups }];
    }),
  );
}

function missingGroup(): never {
  throw new Error('an address is in a group that is not there');
}
