import { FAMILIES } from '#core/model/net/address.ts';
import type { EntriesByFamily } from '#core/model/net/address-entries.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Interval } from '#core/model/net/interval.ts';

/** Who joins and who leaves a group that is in both policies. */
export interface MemberChange {
  readonly kind: 'securityGroup' | 'addressGroup';
  readonly name: string;
  /** Entries of the one that the other does not have; a network that is parted leaves, and its parts join. */
  readonly joined: readonly Interval[];
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
      const was = before.get(name);
      if (was === undefined) return [];
      const [joined, left] = [notIn(entries, was), notIn(was, entries)];
      return joined.length + left.length === 0 ? [] : [{ kind, name, joined, left }];
    });
}

function notIn(some: EntriesByFamily, others: EntriesByFamily): readonly Interval[] {
  return FAMILIES.flatMap((family) => [
    ...intervalsNotIn(some[family].hosts, others[family].hosts),
    ...intervalsNotIn(some[family].ranges, others[family].ranges),
  ]);
}

function intervalsNotIn(some: readonly Interval[], others: readonly Interval[]): readonly Interval[] {
  if (some === others) return [];
  const known = new Map<bigint, bigint>(others.map(({ from, to }) => [from, to]));
  return some.filter(({ from, to }) => known.get(from) !== to);
}
