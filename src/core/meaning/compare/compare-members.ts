import { FAMILIES } from '#core/model/net/address.ts';
import type { EntriesByFamily } from '#core/model/net/address-entries.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';

/** The entries that a group in both policies gains and loses. */
export interface MemberChange {
  readonly kind: 'securityGroup' | 'addressGroup';
  readonly name: string;
  /** Entries that are new; a network that is split leaves, and its parts join. */
  readonly joined: readonly Interval[];
  /** Entries that are gone. */
  readonly left: readonly Interval[];
}

/** The changes of members between two policies, security groups first, by name. */
export function compareMembers(before: HostPolicy, after: HostPolicy): readonly MemberChange[] {
  return [
    ...changes('securityGroup', before.members, after.members),
    ...changes('addressGroup', before.addressGroups, after.addressGroups),
  ];
}

function changes(
  kind: MemberChange['kind'],
  before: ReadonlyMap<string, EntriesByFamily>,
  after: ReadonlyMap<string, EntriesByFamily>,
): readonly MemberChange[] {
  return [...after]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, entries]) => {
      const previous = before.get(name);
      if (previous === undefined) return [];
      const [joined, left] = [missingFrom(previous, entries), missingFrom(entries, previous)];
      return joined.length + left.length === 0 ? [] : [{ kind, name, joined, left }];
    });
}

/** The entries of `candidates` that `entries` does not have. */
function missingFrom(entries: EntriesByFamily, candidates: EntriesByFamily): readonly Interval[] {
  return FAMILIES.flatMap((family) => [
    ...intervalsMissingFrom(entries[family].hosts, candidates[family].hosts),
    ...intervalsMissingFrom(entries[family].ranges, candidates[family].ranges),
  ]);
}

/**
 * Both lists ascend, so one pass finds what is missing. A Map keyed by addresses would not: V8 hashes the low 64 bits of
 * a bigint alone, and those are the same in all networks of IPv6.
 */
function intervalsMissingFrom(intervals: readonly Interval[], candidates: readonly Interval[]): readonly Interval[] {
  if (intervals === candidates) return [];
  let place = 0;
  return candidates.filter(({ from, to }) => {
    while ((intervals[place]?.from ?? from) < from) place += 1;
    const interval = intervals[place];
    return interval?.from !== from || interval.to !== to;
  });
}
