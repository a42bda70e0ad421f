import type { Address, Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { AddressGroup } from '#core/model/policy/policy.ts';
import type { PortRange } from '#core/model/policy/rule.ts';
import type { PlainRule } from './plain-policy.ts';

/** The address that `text` writes, IPv4 as a dotted quad, IPv6 in hexadecimal groups. Throws for anything else. */
export function readAddress(text: string): Address {
  const isIpv4 = !text.includes(':');
  const parts = isIpv4 ? text.split('.').map((part) => byte(part, text)) : ipv6Groups(text);
  if (parts.length !== (isIpv4 ? 4 : 8)) throw new Error(`not an address: ${text}`);
  const value = parts.reduce((high, part) => (high << (isIpv4 ? 8n : 16n)) | part, 0n);
  return { family: isIpv4 ? 'ipv4' : 'ipv6', value };
}

function byte(text: string, whole: string): bigint {
  if (!/^\d{1,3}$/.test(text) || Number(text) > 255) throw new Error(`not an address: ${whole}`);
  return BigInt(text);
}

function ipv6Groups(text: string): bigint[] {
  const read = (side: string): bigint[] =>
    side === ''
      ? []
      : side.split(':').map((group) => {
          if (!/^[0-9a-fA-F]{1,4}$/.test(group)) throw new Error(`not an address: ${text}`);
          return BigInt(`0x${group}`);
        });
  const [left = '', right, more] = text.split('::');
  if (right === undefined) return read(text);
  const known = [...read(left), ...read(right)];
  if (more !== undefined || known.length > 7) throw new Error(`not an address: ${text}`);
  return [...read(left), ...Array.from({ length: 8 - known.length }, () => 0n), ...read(right)];
}

/** The addresses that `text` writes as an address, a CIDR (host bits are ignored) or a range `a-b`. Throws for anything else. */
export function readInterval(text: string): Interval {
  const [first = '', last] = text.split('-');
  if (last !== undefined) {
    const from = readAddress(first);
    const to = readAddress(last);
    if (from.family !== to.family || from.value > to.value) throw new Error(`not a range: ${text}`);
    return { family: from.family, from: from.value, to: to.value };
  }
  const [address = '', prefix] = text.split('/');
  const { family, value } = readAddress(address);
  const bits = family === 'ipv4' ? 32 : 128;
  const length = Number(prefix ?? bits);
  if ((prefix !== undefined && !/^\d{1,3}$/.test(prefix)) || length > bits) throw new Error(`not a CIDR: ${text}`);
  const size = 1n << BigInt(bits - length);
  const from = (value / size) * size;
  return { family, from, to: from + size - 1n };
}

/** The same addresses by family, each once, those that stand alone apart from runs of several. */
export function entriesOf(intervals: readonly Interval[]): AddressGroup['entries'] {
  const of = (family: Family): AddressGroup['entries'][Family] => {
    const runs = joinRuns(intervals.filter((interval) => interval.family === family)).map((run) => ({
      family,
      ...run,
    }));
    return { hosts: runs.filter(({ from, to }) => from === to), ranges: runs.filter(({ from, to }) => from !== to) };
  };
  return { ipv4: of('ipv4'), ipv6: of('ipv6') };
}

/** The ports that a rule's `ports` writes, disjoint and ascending. Throws for what is no port. */
export function readPorts(ports: NonNullable<PlainRule['ports']>): readonly PortRange[] {
  const items = (typeof ports === 'object' ? ports : [ports]).flatMap((item) => String(item).split(','));
  const runs = items.map((item) => {
    const [from = NaN, to = from] = item.split('-').map((end) => Number(end.trim()));
    if (!(Number.isInteger(from) && Number.isInteger(to) && 1 <= from && from <= to && to <= 65535)) {
      throw new Error(`not ports: ${item}`);
    }
    return { from: BigInt(from), to: BigInt(to) };
  });
  return joinRuns(runs).map(({ from, to }) => ({ from: Number(from), to: Number(to) }));
}

interface Run {
  readonly from: bigint;
  readonly to: bigint;
}

function joinRuns(runs: readonly Run[]): Run[] {
  const joined: Run[] = [];
  for (const run of [...runs].sort((a, b) => (a.from < b.from ? -1 : Number(a.from > b.from)))) {
    const last = joined.at(-1);
    if (last === undefined || run.from > last.to + 1n) joined.push({ from: run.from, to: run.to });
    else if (run.to > last.to) joined[joined.length - 1] = { from: last.from, to: run.to };
  }
  return joined;
}
