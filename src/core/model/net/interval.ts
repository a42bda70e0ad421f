import { type Address, addressBits, type Family, formatAddress, highestAddress } from './address.ts';

/** A run of addresses of one family, both ends included; `from <= to`. */
export interface Interval {
  readonly family: Family;
  readonly from: bigint;
  readonly to: bigint;
}

/** The interval that holds just `address`. */
export function intervalOf({ family, value }: Address): Interval {
  return { family, from: value, to: value };
}

/** Whether `address` lies in `interval`. */
export function intervalContains(interval: Interval, address: Address): boolean {
  return interval.family === address.family && interval.from <= address.value && address.value <= interval.to;
}

/** Whether `interval` holds every address of its family. */
export function isWholeFamily(interval: Interval): boolean {
  return interval.from === 0n && interval.to === highestAddress(interval.family);
}

/** The order of all listings: IPv4 before IPv6, then by first, then by last address. */
export function compareIntervals(a: Interval, b: Interval): number {
  if (a.family !== b.family) return a.family < b.family ? -1 : 1;
  if (a.from !== b.from) return a.from < b.from ? -1 : 1;
  return a.to < b.to ? -1 : a.to > b.to ? 1 : 0;
}

/** The shortest usual text of an interval: an address, a CIDR where it is one, else `first-last`. */
export function formatInterval({ family, from, to }: Interval): string {
  const first = formatAddress({ family, value: from });
  if (from === to) return first;
  const size = to - from + 1n;
  const isCidr = (size & (size - 1n)) === 0n && (from & (size - 1n)) === 0n;
  if (isCidr) return `${first}/${addressBits(family) - (size.toString(2).length - 1)}`;
  return `${first}-${formatAddress({ family, value: to })}`;
}
