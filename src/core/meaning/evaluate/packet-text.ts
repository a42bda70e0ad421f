import { formatAddress } from '#core/model/net/address.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { icmpText } from '#core/model/policy/icmp-names.ts';
import { protocolName } from '#core/model/policy/protocol-lookup.ts';

/** Formats a packet briefly: `tcp 22 from 192.0.2.1`. */
export function formatPacket(packet: Packet): string {
  const { protocol, destinationPort, icmpType, icmpCode, direction } = packet;
  const remote = formatAddress(direction === 'inbound' ? packet.source : packet.destination);
  const port = destinationPort === undefined ? '' : ` ${destinationPort}`;
  const icmp = icmpType === undefined ? '' : ` ${icmpText(packet.source.family, icmpType, icmpCode)}`;
  const end = direction === 'inbound' ? 'from' : 'to';
  return `${protocolName(protocol, packet.source.family)}${port}${icmp} ${end} ${remote}`;
}
