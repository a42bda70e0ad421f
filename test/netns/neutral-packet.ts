import type { NeutralPacket } from '../conformance/convert.ts';
import { buildPacket, type Fragmentation, type PacketDescription, TCP_FLAGS } from './harness/packet.ts';

/** A packet of the neutral form with what only a real one has. */
export interface WirePacket extends NeutralPacket {
  /** Names of TCP_FLAGS, as `SYN,ACK`; left out, those that the packet's place in its flow asks for. */
  readonly tcp_flags?: string;
  /** Says, for people, that the packet comes in fragments. */
  readonly fragment?: string;
}

// Below 66,000, the least window conntrack allows for (MAXACKWINCONST), so that packets which acknowledge nothing are
// in the window of the flow whose first packet had this sequence number.
const FIRST_IDENTITY = 1;
const LATER_IDENTITY = 2;

/** 8,000 bytes of UDP, in fragments that fit links of 900 bytes in IPv4 and of 1,280, the least there may be, in IPv6. */
const FRAGMENTED = { bytes: 8_000, ipv4: 880, ipv6: 1_232 } as const;

/** The real packet that a neutral one means; one that belongs to a flow is such that conntrack says so. */
export function descriptionOf(packet: WirePacket): PacketDescription {
  const { family, sport, dport, icmp_type: icmpType, icmp_code: icmpCode } = packet;
  const payload = payloadOf(packet);
  return {
    source: packet.src,
    destination: packet.dst,
    protocol: protocolOf(packet),
    identity: packet.initial === undefined ? FIRST_IDENTITY : LATER_IDENTITY,
    sourcePort: sport,
    destinationPort: dport,
    icmpType,
    icmpCode,
    tcpFlags: tcpFlagsOf(packet),
    // Listener discovery does not leave the link (RFC 3810 section 5).
    ...(family === 'ipv6' && icmpType !== undefined && icmpType >= 130 && icmpType <= 132 && { hopLimit: 1 }),
    ...(payload !== undefined && { payload }),
    ...(packet.fragment !== undefined && { fragments: fragmentsOf(packet) }),
  };
}

function protocolOf({ family, proto }: WirePacket): number {
  const numbers: Readonly<Record<string, number>> = { tcp: 6, udp: 17, gre: 47, icmp: family === 'ipv4' ? 1 : 58 };
  const number = typeof proto === 'number' ? proto : numbers[proto];
  if (number === undefined) throw new Error(`not a protocol: ${proto}`);
  return number;
}

function tcpFlagsOf({ tcp_flags: names, ct_state: state, direction, initial }: WirePacket): number {
  if (names !== undefined) return names.split(',').reduce((flags, name) => flags | flagCalled(name), 0);
  if (state !== 'established') return TCP_FLAGS.syn;
  return direction === initial?.direction ? TCP_FLAGS.ack : TCP_FLAGS.syn | TCP_FLAGS.ack;
}

function flagCalled(name: string): number {
  const found = Object.entries(TCP_FLAGS).find(([flag]) => flag.toUpperCase() === name);
  if (found === undefined) throw new Error(`not a TCP flag: ${name}`);
  return found[1];
}

/** An ICMP error quotes the flow's first packet. */
function payloadOf({ ct_state: state, initial, fragment }: WirePacket): Uint8Array | undefined {
  if (fragment !== undefined) return new Uint8Array(FRAGMENTED.bytes);
  return state === 'related' && initial !== undefined ? buildPacket(descriptionOf(initial)) : undefined;
}

function fragmentsOf({ family }: WirePacket): Fragmentation {
  return { size: FRAGMENTED[family], order: 'inOrder' };
}
