import { type Address, type Family, highestAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { ListedRange } from '#core/model/nft/listed-table.ts';
import { type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { PacketSet } from './packet-set.ts';
import { union, within, without } from './region.ts';
import type { NumberRange, TrafficAtom } from './traffic-atoms.ts';
import { ECHO_REQUEST } from '#core/model/policy/platform.ts';
import { isIcmp, selectorOf } from '#core/model/policy/protocol-lookup.ts';
import { TCP } from '#core/model/policy/protocols.ts';

/** What a witness needs that rules do not look at. */
export interface WitnessEndpoint {
  /** One of the interfaces that the difference is about. */
  readonly interface: string;
  /** The host's end, of the difference's family. */
  readonly local: Address;
}

/** A place for a witness where nothing is known of the host: on an interface that this pattern judges. */
export function endpointOn(pattern: string, policy: HostPolicy, family: Family): WitnessEndpoint {
  return { interface: nameFor(pattern, policy), local: DOCUMENTATION[family] };
}

/** Addresses for documentation (RFC 5737, RFC 3849): rules do not look at the host's end. */
const DOCUMENTATION: Readonly<Record<Family, Address>> = {
  ipv4: { family: 'ipv4', value: 0xc000_0201n },
  ipv6: { family: 'ipv6', value: (0x2001_0db8n << 96n) | 1n },
};

/** An interface that this pattern, and none before it, matches. */
function nameFor(pattern: string, { bindings }: HostPolicy): string {
  if (!pattern.endsWith('*')) return pattern;
  const beginning = pattern === '*' ? 'eth' : pattern.slice(0, -1);
  const names = Array.from({ length: bindings.length + 1 }, (_, i) => `${beginning}${i}`);
  const judges = (name: string): string | undefined =>
    bindings.find((one) => patternMatches(one.pattern, name))?.pattern;
  return names.find((name) => judges(name) === pattern) ?? pattern.slice(0, -1);
}

/** No client of DHCP, and no server. */
const SOURCE_PORT = 50_000;

/** One that a router has forwarded, so that it is no neighbour discovery. */
const HOP_LIMIT = 64;

/** Numbers for experiments (RFC 3692), which nobody takes for anything else. */
const EXPERIMENTAL = [253, 254];

/** A packet of a new flow that a difference is about. */
export function witnessOf({ direction, family, traffic, remotes }: PacketSet, place: WitnessEndpoint): Packet {
  const remote: Address = { family, value: addressAmong(remotes === 'any' ? EVERYWHERE[family] : remotes) };
  const { protocol, part } = traffic === 'all' ? { protocol: TCP, part: 1 } : firstOf(traffic);
  const selector = selectorOf(protocol, family);
  return {
    interface: place.interface,
    direction,
    state: 'new',
    source: direction === 'inbound' ? remote : place.local,
    destination: direction === 'inbound' ? place.local : remote,
    protocol,
    sourcePort: selector === 'ports' ? SOURCE_PORT : undefined,
    destinationPort: selector === 'ports' ? part : undefined,
    icmpType: selector === 'icmp' ? part >> 8 : undefined,
    icmpCode: selector === 'icmp' ? part & 255 : undefined,
    hopLimit: HOP_LIMIT,
  };
}

const EVERYWHERE: Readonly<Record<Family, readonly Interval[]>> = {
  ipv4: [{ family: 'ipv4', from: 0n, to: highestAddress('ipv4') }],
  ipv6: [{ family: 'ipv6', from: 0n, to: highestAddress('ipv6') }],
};

/** Addresses for documentation, which people know for examples, the likeliest first, without the host's end: RFC 5737, RFC 3849. */
const EXAMPLES: Readonly<Record<Family, readonly ListedRange[]>> = {
  ipv4: [
    { from: 0xcb00_7101n, to: 0xcb00_71fen },
    { from: 0xc633_6401n, to: 0xc633_64fen },
    { from: 0xc000_0202n, to: 0xc000_02fen },
  ],
  ipv6: [{ from: (0x2001_0db8n << 96n) | 1n, to: (0x2001_0db9n << 96n) - 1n }],
};

/** This network, loopback, mapped, multicast and beyond, which no packet of another host comes from: RFC 6890. */
const UNUSUAL: Readonly<Record<Family, readonly ListedRange[]>> = {
  ipv4: [
    { from: 0n, to: 0x00ff_ffffn },
    { from: 0x7f00_0000n, to: 0x7fff_ffffn },
    { from: 0xe000_0000n, to: highestAddress('ipv4') },
  ],
  ipv6: [
    { from: 0n, to: 1n },
    { from: 0xffffn << 32n, to: (0x1_0000n << 32n) - 1n },
    { from: 0xffn << 120n, to: highestAddress('ipv6') },
  ],
};

/** An address among those of intervals of one family: an example's, else one that hosts have, else the first. */
function addressAmong(intervals: readonly Interval[]): bigint {
  const [first] = intervals;
  if (first === undefined) return 0n;
  const usual = without(union(intervals), UNUSUAL[first.family]);
  const [example] = EXAMPLES[first.family].flatMap((range) => within(usual, [range]));
  const [own] = usual;
  if (example !== undefined) return example.from;
  // The first address of a network is the network's own.
  if (own !== undefined) return own.from < own.to ? own.from + 1n : own.from;
  return first.from;
}

function firstOf(traffic: readonly TrafficAtom[]): { readonly protocol: number; readonly part: number } {
  const [first] = traffic;
  const [range] = first?.protocols ?? [];
  const experimental = EXPERIMENTAL.find((number) =>
    (first?.protocols ?? []).some(({ from, to }) => from <= number && number <= to),
  );
  const protocol = experimental ?? range?.from ?? 0;
  return { protocol, part: first?.l4Values === undefined ? 1 : usualPart(first.l4Values, protocol) };
}

function usualPart({ from, to }: NumberRange, protocol: number): number {
  const echoRequest = isIcmp(protocol) ? ECHO_REQUEST[protocol] << 8 : undefined;
  if (echoRequest !== undefined && from <= echoRequest && echoRequest <= to) return echoRequest;
  // Port 0 is one that hardly any program can be made to send.
  return Math.max(from, to === 0 ? 0 : 1);
}
