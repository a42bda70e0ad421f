import type { Address } from '#core/model/net/address.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { PlatformTraffic } from '#core/model/policy/policy.ts';

/** Whether `packet` is built-in traffic that `platform` leaves switched on; loopback is not asked about here. */
export function isPlatformTraffic(platform: PlatformTraffic, packet: Packet): boolean {
  return (
    (platform.neighborDiscovery && (isNeighborDiscovery(packet) || isMulticastListener(packet))) ||
    (platform.routerAdvertisement && isRouterAdvertisement(packet)) ||
    (platform.dhcpClient && isDhcpClient(packet)) ||
    (platform.igmp && isGroupMembership(packet))
  );
}

function isIcmpv6(packet: Packet): boolean {
  return packet.source.family === 'ipv6' && packet.protocol === 58;
}

/** RFC 4861: receivers must discard all of it unless the hop limit is 255 and the code 0. */
function isOnLinkMessage(packet: Packet): boolean {
  return isIcmpv6(packet) && packet.icmpCode === 0 && (packet.hopLimit === undefined || packet.hopLimit === 255);
}

function isNeighborDiscovery(packet: Packet): boolean {
  if (!isOnLinkMessage(packet)) return false;
  switch (packet.icmpType) {
    case 133: // router solicitation: a host asks and never answers
      return packet.direction === 'outbound';
    case 135:
    case 136:
      return true;
    case 137: // redirect: only routers send them
      return packet.direction === 'inbound';
    default:
      return false;
  }
}

function isMulticastListener(packet: Packet): boolean {
  const types = [130, 131, 132, 143];
  const isListenerType = packet.icmpType !== undefined && types.includes(packet.icmpType);
  // RFC 3810 section 5: the hop limit is 1.
  return (
    isIcmpv6(packet) &&
    isListenerType &&
    (packet.hopLimit === undefined || packet.hopLimit === 1) &&
    (isLinkLocal(packet.source) || packet.source.value === 0n)
  );
}

function isRouterAdvertisement(packet: Packet): boolean {
  return (
    isOnLinkMessage(packet) && packet.icmpType === 134 && packet.direction === 'inbound' && isLinkLocal(packet.source)
  );
}

function isDhcpClient(packet: Packet): boolean {
  if (packet.protocol !== 17) return false;
  const outbound = packet.direction === 'outbound';
  if (packet.source.family === 'ipv4') return outbound ? hasPorts(packet, 68, 67) : hasPorts(packet, 67, 68);
  return outbound
    ? hasPorts(packet, 546, 547) && isLinkLocal(packet.source)
    : packet.destinationPort === 546 && (isLinkLocal(packet.source) || isLinkLocal(packet.destination));
}

/** IGMP, protocol 2: to multicast addresses, with a time to live of 1 (RFC 3376 section 4). */
function isGroupMembership({ protocol, destination, hopLimit }: Packet): boolean {
  const isToMulticast = destination.family === 'ipv4' && destination.value >> 28n === 0xen;
  return protocol === 2 && isToMulticast && (hopLimit === undefined || hopLimit === 1);
}

function hasPorts(packet: Packet, source: number, destination: number): boolean {
  return packet.sourcePort === source && packet.destinationPort === destination;
}

/** Whether `address` is in fe80::/10. */
function isLinkLocal({ family, value }: Address): boolean {
  return family === 'ipv6' && value >> 118n === 0xfe80n >> 6n;
}
