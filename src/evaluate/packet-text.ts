import { formatAddress } from '../model/address.ts';
import type { Packet } from '../model/packet.ts';
import { protocolName } from '../model/protocol-lookup.ts';

/** A packet in few words: `tcp 22 from 192.0.2.1`. */
export function formatPacket(packet: Packet): string {
  const { protocol, destinationPort, icmpType, icmpCode, direction } = packet;
  const remote = formatAddress(direction === 'inbound' ? packet.source : packet.destination);
  const port = destinationPort === undefined ? '' : ` ${destinationPort}`;
  const icmp = icmpType === undefined ? '' : ` type ${icmpType} code ${icmpCode ?? 0}`;
  const end = direction === 'inbound' ? 'from' : 'to';
  return `${protocolName(protocol, packet.source.family)}${port}${icmp} ${end} ${remote}`;
}
