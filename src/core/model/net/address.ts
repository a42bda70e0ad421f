/** The address families a rule can have; a rule of one never matches packets of the other. */
export type Family = 'ipv4' | 'ipv6';

/** Both families, in the order in which all output lists them. */
export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

/** One IP address: `value` is the address read as an unsigned big-endian integer. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** The number of bits in an address of `family`: 32 or 128. */
export function addressBits(family: Family): 32 | 128 {
  return family === 'ipv4' ? 32 : 128;
}

/** The highest address value of `family`. */
export function highestAddress(family: Family): bigint {
  return (1n << BigInt(addressBits(family))) - 1n;
}

/** The address whose network-order bytes are `bytes`: 4 of them are IPv4, 16 IPv6. Throws a RangeError for any other count. */
export function addressFromBytes(bytes: Uint8Array): Address {
  if (bytes.length !== 4 && bytes.length !== 16) {
    throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`);
  }
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: bytes.length === 4 ? 'ipv4' : 'ipv6', value };
}

/** The usual text of an address: dotted quad, or IPv6 as RFC 5952 writes it. */
export function formatAddress({ family, value }: Address): string {
  if (family === 'ipv4') {
    const bits = Number(value);
    return `${bits >>> 24}.${(bits >>> 16) & 0xff}.${(bits >>> 8) & 0xff}.${bits & 0xff}`;
  }
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  const gap = longestZeroRun(groups);
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return gap.length < 2 ? hex(0, 8) : `${hex(0, gap.start)}::${hex(gap.start + gap.length, 8)}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, i) => {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start };
  });
  return best;
}
