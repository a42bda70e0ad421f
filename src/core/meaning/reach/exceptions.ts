import type { Addresses } from '#core/meaning/headerspace/address-partition.ts';
import type { AllowedColumns, AllowedTraffic } from '#core/meaning/headerspace/allowed-traffic.ts';
import { addressesOf } from '#core/meaning/headerspace/rule-list.ts';
import type { Family } from '#core/model/net/address.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { AllowedTrafficCache, GroupRules } from './allowed-traffic-cache.ts';
import type { DeniedRemote, ExternalEndpoint } from './endpoints.ts';
import { isEveryAddress } from './evaluated-group.ts';

/** A remote of one family that rules deny something: its rows of the grid, and the traffic that it is allowed. */
export interface Exception {
  /** The index among the denied remotes. */
  readonly denied: number;
  readonly rows: Int32Array;
  readonly allowed: PackedColumns;
}

/** The denied remotes that have addresses of the family, ascending. */
export function exceptionsOf(
  denied: readonly DeniedRemote[],
  rules: GroupRules,
  cache: AllowedTrafficCache,
): readonly Exception[] {
  const allowed = cache.of(rules);
  const found: Exception[] = [];
  for (const [index, columns] of allowedWith(denied, rules, allowed)) {
    const remote = denied[index];
    const rows = remote === undefined ? undefined : allowed.rowsOf(addressesOfRemote(remote, rules));
    if (rows !== undefined && rows.length > 0) found.push({ denied: index, rows, allowed: packColumns(columns) });
  }
  return found.toSorted((a, b) => a.denied - b.denied);
}

/** The traffic allowed with each of the remotes, by index; none for a remote without addresses of the family. */
export function* allowedWith(
  remotes: readonly (ExternalEndpoint | DeniedRemote)[],
  { group: { policy }, family }: GroupRules,
  allowed: AllowedTraffic,
): Generator<readonly [index: number, columns: AllowedColumns]> {
  const intervals = remotes.flatMap((remote, index) => (remote.kind === 'interval' ? [{ remote, index }] : []));
  for (const [at, columns] of allowed.ofIntervals(intervals.map(({ remote }) => remote.interval)))
    yield [intervals[at]?.index ?? -1, columns];
  for (const [index, end] of remotes.entries()) {
    if (end.kind === 'interval') continue;
    if (end.kind === 'addressGroup' && addressesOf(end, family, policy).length === 0) continue;
    yield [
      index,
      allowed.of(
        ({ remote }) =>
          isEveryAddress(remote, family, policy) ||
          (end.kind !== 'anyone' && remote.kind === end.kind && remote.name === end.name),
      ),
    ];
  }
}

/** The addresses of the family that a remote stands for. */
export function addressesOfRemote(
  remote: DeniedRemote,
  { family, group }: { readonly family: Family; readonly group: { readonly policy: HostPolicy } },
): Addresses {
  const addresses = addressesOf(remote, family, group.policy);
  return addresses === 'any' ? addresses : addresses.filter((interval) => interval.family === family);
}

/** As {@link AllowedColumns}, with 32 columns in a number: any two of thousands may have to be compared. */
export type PackedColumns = Int32Array;

/** Packs columns, 32 in a number. */
export function packColumns(columns: AllowedColumns): PackedColumns {
  const packed = new Int32Array((columns.length + 31) >> 5);
  for (let column = columns.indexOf(1); column >= 0; column = columns.indexOf(1, column + 1))
    packed[column >> 5] = (packed[column >> 5] ?? 0) | (1 << (column & 31));
  return packed;
}

/** Whether some traffic is allowed that `other` does not allow. */
export function allowsMore(allowed: PackedColumns, other: PackedColumns): boolean {
  for (let word = 0; word < allowed.length; word += 1)
    if (((allowed[word] ?? 0) & ~(other[word] ?? 0)) !== 0) return true;
  return false;
}

/** Whether some rows, but not all, of an end are among `rows`; undefined is an end everywhere. */
export function isPartOf(rows: Int32Array, end: Int32Array | undefined): boolean {
  if (end === undefined) return true;
  let isShared = false;
  let isBeyond = false;
  let range = 0;
  for (let at = 0; at < end.length; at += 2) {
    const [first, last] = [end[at] ?? 0, end[at + 1] ?? 0];
    while (range < rows.length && (rows[range + 1] ?? 0) < first) range += 2;
    const [from, to] = [rows[range] ?? Number.POSITIVE_INFINITY, rows[range + 1] ?? 0];
    if (from <= last) isShared = true;
    // Ranges are never neighbours: an end that continues behind one is not held by it.
    if (from > first || to < last) isBeyond = true;
    if (isShared && isBeyond) return true;
  }
  return false;
}
