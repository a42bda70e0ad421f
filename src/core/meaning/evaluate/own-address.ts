import type { Family } from '#core/model/net/address.ts';
import { addressEntries } from '#core/model/net/address-entries.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { type Interval, intervalContains, intervalOf } from '#core/model/net/interval.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { LINK_LOCAL, LOOPBACK, MULTICAST } from '#core/model/policy/platform.ts';

/** Addresses of one family that the host has: on any interface, and on one. */
export interface LocalAddresses {
  readonly host: readonly Interval[];
  readonly interface: readonly Interval[];
}

/** The addresses that the host has, and all for loopback; disjoint and ascending. */
export function localAddresses(policy: HostPolicy, name: string, family: Family): LocalAddresses {
  // A VRF has addresses of its own, which may be those of others outside.
  const held = policy.held.filter((one) => !isInVrf(policy, one.name));
  const of = (addresses: (typeof held)[number]['addresses']): Interval[] =>
    addresses.filter((address) => address.family === family).map(intervalOf);
  const loopback = LOOPBACK.filter((interval) => interval.family === family);
  const disjoint = (intervals: readonly Interval[]): readonly Interval[] => {
    const { hosts, ranges } = addressEntries(intervals)[family];
    return [...hosts, ...ranges].toSorted((a, b) => (a.from < b.from ? -1 : 1));
  };
  return {
    host: disjoint([...loopback, ...held.flatMap(({ addresses }) => of(addresses))]),
    interface: disjoint(held.filter((one) => one.name === name).flatMap(({ addresses }) => of(addresses))),
  };
}

/** The sources that nobody but the host itself has, seen from an interface: a link-local address is one on its own link only. */
function ownSources(local: LocalAddresses): readonly Interval[] {
  const isLinkLocal = ({ family, from }: Interval): boolean =>
    LINK_LOCAL.some((link) => intervalContains(link, { family, value: from }));
  return [...local.host.filter((one) => !isLinkLocal(one)), ...local.interface.filter(isLinkLocal)];
}

function isInVrf({ held }: HostPolicy, name: string): boolean {
  const one = held.find((link) => link.name === name);
  return one?.kind === 'vrf' || held.some(({ index, kind }) => kind === 'vrf' && index === one?.master);
}

/** The sources of packets that are dropped where they come in by an interface of this name, outside of VRFs. */
export function forgedSources(policy: HostPolicy, name: string, family: Family): readonly Interval[] {
  const { platform, routeLookups } = policy;
  return platform.ownAddress && routeLookups !== false ? ownSources(localAddresses(policy, name, family)) : [];
}

/** The sources of packets that are dropped where they come in by this interface. */
export function deniedSources(policy: HostPolicy, name: string, family: Family): readonly Interval[] {
  return isInVrf(policy, name) ? [] : forgedSources(policy, name, family);
}

/** Whether a packet that comes in is built to look like one of the host's own, or is for loopback: `platform:own-address`. */
export function isOwnAddress(policy: HostPolicy, { direction, interface: name, source, destination }: Packet): boolean {
  if (!policy.platform.ownAddress || direction === 'outbound') return false;
  const among = (intervals: readonly Interval[], address: Packet['source']): boolean =>
    intervals.some((interval) => intervalContains(interval, address));
  if (among(LOOPBACK, destination)) return true;
  // The host gets copies of what it sends to many.
  return !among(Object.values(MULTICAST), destination) && among(deniedSources(policy, name, source.family), source);
}
