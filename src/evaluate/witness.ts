import { type Address, type Family, highestAddress } from '../model/address.ts';
import type { Interval } from '../model/interval.ts';
import { type HostPolicy, patternMatches } from '../model/host.ts';
import type { Packet } from '../model/packet.ts';
import type { Difference } from './compare-policies.ts';
import { hasParts, type NumberRange, type TrafficClass } from './traffic-classes.ts';

/** What a witness needs that rules do not look at. */
export interface WitnessPlace {
  /** One of the interfaces that the difference is about. */
  readonly interface: string;
  /** The host's end, of the difference's family. */
  readonly local: Address;
}

/** A place for a witness where nothing is known of the host: on an interface that this pattern judges. */
export function placeOn(pattern: string, policy: HostPolicy, family: Family): WitnessPlace {
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
export function witnessOf(
  { direction, family, traffic, remotes }: Pick<Difference, 'direction' | 'family' | 'traffic' | 'remotes'>,
  place: WitnessPlace,
): Packet {
  const remote: Address = { family, value: addressAmong(remotes === 'any' ? EVERYWHERE[family] : remotes) };
  const { protocol, part } = traffic === 'all' ? { protocol: 6, part: 1 } : firstOf(traffic);
  const isIcmp = hasParts(protocol, family) && protocol !== 6 && protocol !== 17;
  const hasPorts = protocol === 6 || protocol === 17;
  return {
    interface: place.interface,
    direction,
    state: 'new',
    source: direction === 'inbound' ? remote : place.local,
    destination: direction === 'inbound' ? place.local : remote,
    protocol,
    sourcePort: hasPorts ? SOURCE_PORT : undefined,
    destinationPort: hasPorts ? part : undefined,
    icmpType: isIcmp ? part >> 8 : undefined,
    icmpCode: isIcmp ? part & 255 : undefined,
    hopLimit: HOP_LIMIT,
  };
}

const EVERYWHERE: Readonly<Record<Family, readonly Interval[]>> = {
  ipv4: [{ family: 'ipv4', from: 0xcb00_7101n, to: highestAddress('ipv4') }],
  ipv6: [{ family: 'ipv6', from: (0x2001_0db8n << 96n) | 1n, to: highestAddress('ipv6') }],
};

/** An address that a packet can have on a wire, if there is one at an end or in the middle of an interval. */
function addressAmong(intervals: readonly Interval[]): bigint {
  for (const { family, from, to } of intervals) {
    const usual = [from, from + 1n, (from + to) / 2n, to].find((value) => value <= to && isUnicast({ family, value }));
    if (usual !== undefined) return usual;
  }
  return intervals[0]?.from ?? 0n;
}

/** Not this network, loopback, mapped, multicast or beyond: RFC 6890. */
function isUnicast({ family, value }: Address): boolean {
  if (family === 'ipv6') return value > 1n && value >> 120n !== 0xffn && value >> 32n !== 0xffffn;
  const first = value >> 24n;
  return first !== 0n && first !== 127n && first < 224n;
}

function firstOf(traffic: readonly TrafficClass[]): { readonly protocol: number; readonly part: number } {
  const [first] = traffic;
  const [range] = first?.protocols ?? [];
  const experimental = EXPERIMENTAL.find((number) =>
    (first?.protocols ?? []).some(({ from, to }) => from <= number && number <= to),
  );
  const protocol = experimental ?? range?.from ?? 0;
  return { protocol, part: first?.parts === undefined ? 1 : usualPart(first.parts, protocol) };
}

function usualPart({ from, to }: NumberRange, protocol: number): number {
  const echoRequest = protocol === 1 ? 8 << 8 : protocol === 58 ? 128 << 8 : undefined;
  if (echoRequest !== undefined && from <= echoRequest && echoRequest <= to) return echoRequest;
  // Port 0 is one that hardly any program can be made to send.
  return Math.max(from, to === 0 ? 0 : 1);
}
