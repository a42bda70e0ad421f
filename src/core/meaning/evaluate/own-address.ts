import type { Family } from '#core/model/net/address.ts';
import { addressEntries } from '#core/model/net/address-entries.ts';
import { type Interval, intervalContains, intervalOf } from '#core/model/net/interval.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { LINK_LOCAL, LOOPBACK, MULTICAST } from '#core/model/policy/platform.ts';

/** The host's addresses of one family: on all interfaces, and on one. */
export interface LocalAddresses {
  readonly host: readonly Interval[];
  readonly interface: readonly Interval[];
}

/** The host's addresses, all loopback addresses included, and those of one interface; disjoint and ascending. */
export function localAddresses(policy: HostPolicy, name: string, family: Family): LocalAddresses {
  // A VRF has addresses of its own, which other hosts may have outside it.
  const interfaces = policy.held.filter((link) => !isInVrf(policy, link.name));
  const intervalsIn = (addresses: (typeof interfaces)[number]['addresses']): Interval[] =>
    addresses.filter((address) => address.family === family).map(intervalOf);
  const loopback = LOOPBACK.filter((interval) => interval.family === family);
  const disjoint = (intervals: readonly Interval[]): readonly Interval[] => {
    const { hosts, ranges } = addressEntries(intervals)[family];
    return [...hosts, ...ranges].toSorted((a, b) => (a.from < b.from ? -1 : 1));
  };
  return {
    host: disjoint([...loopback, ...interfaces.flatMap(({ addresses }) => intervalsIn(addresses))]),
    interface: disjoint(
      interfaces.filter((link) => link.name === name).flatMap(({ addresses }) => intervalsIn(addresses)),
    ),
  };
}

/** The sources that only the host itself has, seen from an interface: a link-local address counts on its own link only. */
function ownSources(local: LocalAddresses): readonly Interval[] {
  const isLinkLocal = ({ family, from }: Interval): boolean =>
    LINK_LOCAL.some((link) => intervalContains(link, { family, value: from }));
  return [...local.host.filter((interval) => !isLinkLocal(interval)), ...local.interface.filter(isLinkLocal)];
}

function isInVrf({ held }: HostPolicy, name: string): boolean {
  const link = held.find((candidate) => candidate.name === name);
  return link?.kind === 'vrf' || held.some(({ index, kind }) => kind === 'vrf' && index === link?.master);
}

/** The sources of packets that are dropped as forged if they come in by an interface of this name, outside of VRFs. */
export function forgedSources(policy: HostPolicy, name: string, family: Family): readonly Interval[] {
  const { platform, routeLookups } = policy;
  return platform.ownAddress && routeLookups !== false ? ownSources(localAddresses(policy, name, family)) : [];
}

/** The sources of packets that are dropped as forged if they come in by this interface. */
export function deniedSources(policy: HostPolicy, name: string, family: Family): readonly Interval[] {
  return isInVrf(policy, name) ? [] : forgedSources(policy, name, family);
}

/** Whether an inbound packet pretends to be from the host itself, or is to loopback: `platform:own-address`. */
export function isOwnAddress(policy: HostPolicy, { direction, interface: name, source, destination }: Packet): boolean {
  if (!policy.platform.ownAddress || direction === 'outbound') return false;
  const among = (intervals: readonly Interval[], address: Packet['source']): boolean =>
    intervals.some((interval) => intervalContains(interval, address));
  if (among(LOOPBACK, destination)) return true;
  // The host receives copies of its own multicast packets.
  return !among(Object.values(MULTICAST), destination) && among(deniedSources(policy, name, source.family), source);
}
