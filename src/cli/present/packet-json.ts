import { formatAddress } from '#core/model/net/address.ts';
import type { Packet } from '#core/model/packet/packet.ts';

/** Reports a packet as a query for `sgctl explain --batch`. */
export function packetToJson(packet: Packet): object {
  return {
    interface: packet.interface,
    direction: packet.direction,
    protocol: String(packet.protocol),
    src: formatAddress(packet.source),
    dst: formatAddress(packet.destination),
    ...(packet.destinationPort === undefined ? {} : { sport: packet.sourcePort, dport: packet.destinationPort }),
    ...(packet.icmpType === undefined ? {} : { icmpType: packet.icmpType, icmpCode: packet.icmpCode }),
    state: packet.state,
  };
}
