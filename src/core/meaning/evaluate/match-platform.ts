import { intervalContains } from '#core/model/net/interval.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { PLATFORM_FLOWS, type PlatformFlow } from '#core/model/policy/platform.ts';
import type { PlatformTraffic } from '#core/model/policy/policy.ts';
import { ICMPV6, IGMP, UDP } from '#core/model/policy/protocols.ts';

/** The name of the built-in traffic that `packet` is, if that is switched on; undefined for other packets. */
export function platformTrafficOf(switches: PlatformTraffic, packet: Packet): keyof PlatformTraffic | undefined {
  return PLATFORM_FLOWS.find((flow) => switches[flow.name] && flowMatches(flow, packet))?.name;
}

function flowMatches({ direction, family, match, source, destination }: PlatformFlow, packet: Packet): boolean {
  if (packet.direction !== direction || packet.source.family !== family) return false;
  if (source !== undefined && !source.some((interval) => intervalContains(interval, packet.source))) return false;
  if (destination !== undefined && !destination.some((interval) => intervalContains(interval, packet.destination)))
    return false;
  switch (match.kind) {
    case 'udp':
      return (
        packet.protocol === UDP &&
        (match.sourcePort === 'any' || packet.sourcePort === match.sourcePort) &&
        packet.destinationPort === match.destinationPort
      );
    case 'icmpv6':
      return (
        packet.protocol === ICMPV6 &&
        packet.icmpType !== undefined &&
        match.types.includes(packet.icmpType) &&
        (match.code === 'any' || packet.icmpCode === match.code) &&
        hopLimitMatches(match.hopLimit, packet)
      );
    case 'igmp':
      return packet.protocol === IGMP && hopLimitMatches(match.hopLimit, packet);
  }
}

function hopLimitMatches(prescribed: number, { hopLimit }: Packet): boolean {
  return hopLimit === undefined || hopLimit === prescribed;
}
