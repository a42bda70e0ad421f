import { type Address, type Family, highestAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { ListedRange } from '#core/model/nft/listed-table.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { type HostPolicy, patternMatches } from '#core/model/policy/host.ts';
import { ECHO_REQUEST } from '#core/model/policy/platform.ts';
import { isIcmp, selectorOf } from '#core/model/policy/protocol-lookup.ts';
import { TCP } from '#core/model/policy/protocols.ts';
import type { PacketSet } from './packet-set.ts';
import { union, within, without } from './region.ts';
import type { NumberRange, TrafficAtom } from './traffic-atoms.ts';

/** The parts of a witness that rules do not match. */
export interface WitnessEndpoint {
  /** One of the interfaces in question. */
  readonly interface: string;
  /** The host's end, of the family in question. */
  readonly local: Address;
}

/** The bindings of a host, and its interfaces if they are known. */
export interface BoundInterfaces extends Pick<HostPolicy, 'bindings'> {
  /** The names of the host's interfaces; none if the host is not known. */
  readonly interfaceNames?: readonly string[] | undefined;
}

/** An endpoint on an interface that `pattern` is the binding of: one that the host has, if one fits. */
export function endpointOn(
  pattern: string,
  { bindings, interfaceNames }: BoundInterfaces,
  family: Family,
): WitnessEndpoint {
  const patterns = bindings.map((binding) => binding.pattern);
  return {
    interface: exampleInterface(pattern, patterns, interfaceNames),
    local: { family, value: EXAMPLE_HOST[family] },
  };
}

/** The host's end in examples, the first address of a documentation network: rules do not match it. */
const EXAMPLE_HOST: Readonly<Record<Family, bigint>> = { ipv4: 0xc000_0201n, ipv6: (0x2001_0db8n << 96n) | 1n };

/**
 * The name of an interface that `pattern`, and no more specific one of `patterns`, matches; if `pattern` is undefined,
 * of one that none of them matches. Returns one of `existing` if one fits, and else a made-up name.
 */
export function exampleInterface(
  pattern: string | undefined,
  patterns: readonly string[],
  existing: readonly string[] = [],
): string {
  if (pattern !== undefined && !pattern.endsWith('*')) return pattern;
  const beginnings = pattern === undefined ? ['other'] : pattern === '*' ? ['eth', 'other'] : [pattern.slice(0, -1)];
  const madeUp = beginnings.flatMap((text) => Array.from({ length: patterns.length + 1 }, (_, i) => `${text}${i}`));
  const names = [...existing.filter((name) => name !== 'lo'), ...madeUp];
  return names.find((name) => mostSpecific(patterns, name) === pattern) ?? beginnings.at(-1) ?? '';
}

/** The most specific of `patterns` that matches a name: the name itself, else the longest glob. */
function mostSpecific(patterns: readonly string[], name: string): string | undefined {
  if (patterns.includes(name)) return name;
  return patterns
    .filter((pattern) => patternMatches(pattern, name))
    .reduce<string | undefined>((longest, glob) => (glob.length > (longest?.length ?? 0) ? glob : longest), undefined);
}

/** The source port of example packets: neither a DHCP client's nor a server's. */
export const SOURCE_PORT = 50_000;

/** The hop limit of example packets: a router has forwarded them, so they are not neighbour discovery. */
export const HOP_LIMIT = 64;

/** Protocol numbers for experiments (RFC 3692): no other use is assigned. */
export const EXPERIMENTAL_PROTOCOLS = [253, 254] as const;

/** A packet of a new flow from the set, one that a reader recognizes as an example if there is such. */
export function witnessOf({ direction, family, traffic, remotes }: PacketSet, place: WitnessEndpoint): Packet {
  const remote: Address = { family, value: addressAmong(remotes === 'any' ? EVERYWHERE[family] : remotes) };
  const { protocol, l4Value } = traffic === 'all' ? { protocol: TCP, l4Value: 1 } : firstTraffic(traffic);
  const selector = selectorOf(protocol, family);
  return {
    interface: place.interface,
    direction,
    state: 'new',
    source: direction === 'inbound' ? remote : place.local,
    destination: direction === 'inbound' ? place.local : remote,
    protocol,
    sourcePort: selector === 'ports' ? SOURCE_PORT : undefined,
    destinationPort: selector === 'ports' ? l4Value : undefined,
    icmpType: selector === 'icmp' ? l4Value >> 8 : undefined,
    icmpCode: selector === 'icmp' ? l4Value & 255 : undefined,
    hopLimit: HOP_LIMIT,
  };
}

const EVERYWHERE: Readonly<Record<Family, readonly Interval[]>> = {
  ipv4: [{ family: 'ipv4', from: 0n, to: highestAddress('ipv4') }],
  ipv6: [{ family: 'ipv6', from: 0n, to: highestAddress('ipv6') }],
};

/** Documentation addresses, the preferred first, without the host's end: RFC 5737, RFC 3849. */
const EXAMPLE_REMOTES: Readonly<Record<Family, readonly ListedRange[]>> = {
  ipv4: [
    { from: 0xcb00_7101n, to: 0xcb00_71fen },
    { from: 0xc633_6401n, to: 0xc633_64fen },
    { from: 0xc000_0202n, to: 0xc000_02fen },
  ],
  ipv6: [{ from: (0x2001_0db8n << 96n) | 1n, to: (0x2001_0db9n << 96n) - 1n }],
};

/** Addresses that no packet of another host comes from (this network, loopback, mapped, multicast and beyond): RFC 6890. */
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

/** An address in intervals of one family: a documentation address, else one that hosts can have, else the first. */
function addressAmong(intervals: readonly Interval[]): bigint {
  const [first] = intervals;
  if (first === undefined) return 0n;
  const usual = without(union(intervals), UNUSUAL[first.family]);
  const [example] = EXAMPLE_REMOTES[first.family].flatMap((range) => within(usual, [range]));
  const [hosts] = usual;
  if (example !== undefined) return example.from;
  // The first address of a network names the network, not a host.
  if (hosts !== undefined) return hosts.from < hosts.to ? hosts.from + 1n : hosts.from;
  return first.from;
}

function firstTraffic(traffic: readonly TrafficAtom[]): { readonly protocol: number; readonly l4Value: number } {
  const [first] = traffic;
  const [range] = first?.protocols ?? [];
  const experimental = EXPERIMENTAL_PROTOCOLS.find((number) =>
    (first?.protocols ?? []).some(({ from, to }) => from <= number && number <= to),
  );
  const protocol = experimental ?? range?.from ?? 0;
  return { protocol, l4Value: first?.l4Values === undefined ? 1 : usualL4Value(first.l4Values, protocol) };
}

function usualL4Value({ from, to }: NumberRange, protocol: number): number {
  const echoRequest = isIcmp(protocol) ? ECHO_REQUEST[protocol] << 8 : undefined;
  if (echoRequest !== undefined && from <= echoRequest && echoRequest <= to) return echoRequest;
  // Hardly any program can be made to send to port 0.
  return Math.max(from, to === 0 ? 0 : 1);
}
