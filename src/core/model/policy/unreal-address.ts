import type { Interval } from '#core/model/net/interval.ts';
import { ICMPV6, IGMP, UDP } from './protocols.ts';
import type { Direction, Traffic } from './rule.ts';

/** Kinds of addresses that no packet on a wire comes from or goes to. */
export type UnrealKind = 'unspecified' | 'loopback' | 'multicast' | 'broadcast';

interface UnrealRange extends Interval {
  readonly kind: UnrealKind;
}

/** RFC 6890, RFC 5771, RFC 4291. */
const UNREAL: readonly UnrealRange[] = [
  { kind: 'unspecified', family: 'ipv4', from: 0n, to: 0n },
  { kind: 'loopback', family: 'ipv4', from: 0x7f00_0000n, to: 0x7fff_ffffn },
  { kind: 'multicast', family: 'ipv4', from: 0xe000_0000n, to: 0xefff_ffffn },
  { kind: 'broadcast', family: 'ipv4', from: 0xffff_ffffn, to: 0xffff_ffffn },
  { kind: 'unspecified', family: 'ipv6', from: 0n, to: 0n },
  { kind: 'loopback', family: 'ipv6', from: 1n, to: 1n },
  { kind: 'multicast', family: 'ipv6', from: 0xffn << 120n, to: (1n << 128n) - 1n },
];

/** The kind of an interval's addresses, if no interface can have any of them; else undefined. */
export function unrealKind({ family, from, to }: Interval): UnrealKind | undefined {
  return UNREAL.find((one) => one.family === family && one.from <= from && to <= one.to)?.kind;
}

/**
 * Why no packet that rules see has its remote in an interval; undefined if one can. Hosts send to multicast and broadcast
 * addresses, and a host without an address sends from the unspecified one: to a DHCP server, with IGMP and with ICMPv6
 * (RFC 2131, RFC 3376, RFC 4861).
 */
export function unrealRemote(interval: Interval, direction: Direction, traffic: Traffic): UnrealKind | undefined {
  const kind = unrealKind(interval);
  if (direction === 'outbound' && (kind === 'multicast' || kind === 'broadcast')) return undefined;
  if (direction === 'inbound' && kind === 'unspecified' && isOfNewcomers(traffic)) return undefined;
  return kind;
}

const DHCP_SERVER = 67;
const OF_NEWCOMERS: readonly number[] = [IGMP, ICMPV6];

function isOfNewcomers(traffic: Traffic): boolean {
  switch (traffic.kind) {
    case 'ports':
      return traffic.protocol === UDP && traffic.ports.some(({ from, to }) => from <= DHCP_SERVER && DHCP_SERVER <= to);
    case 'protocol':
    case 'icmp':
      return OF_NEWCOMERS.includes(traffic.protocol);
    case 'all':
      return false;
  }
}
