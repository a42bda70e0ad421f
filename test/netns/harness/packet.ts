import ipaddr from 'ipaddr.js';
import { type Address, addressBits, addressFromBytes } from '#core/model/net/address.ts';

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const GRE = 47;
const ICMPV6 = 58;

/** A TCP header's flag bits. */
export const TCP_FLAGS = { fin: 0x01, syn: 0x02, rst: 0x04, psh: 0x08, ack: 0x10, urg: 0x20 } as const;

/**
 * IPv6 "protocols" that are extension headers: the kernel and nft look behind them, so no packet is of one of these.
 * Random tests leave them out in IPv6. In IPv4 they are protocols like all others.
 */
export const IPV6_EXTENSION_HEADERS: ReadonlySet<number> = new Set([0, 43, 44, 51, 60, 135]);

/** How a packet is to be sent in fragments. */
export interface Fragmentation {
  /** Bytes of IP payload in each fragment but the last; a multiple of 8. */
  readonly size: number;
  readonly order: 'inOrder' | 'reversed';
}

/** A packet to build; both addresses are of one family. */
export interface PacketDescription {
  readonly source: string | Address;
  readonly destination: string | Address;
  /** IP protocol number, 0..255. */
  readonly protocol: number;
  /**
   * What the packet is known by, 0..2^32-1. It stands whole in the TCP sequence number, the ICMP rest-of-header field
   * or the first four bytes of payload, and in part in the IPv4 identification or the IPv6 flow label.
   */
  readonly identity: number;
  /** TCP and UDP; 40000 unless told. */
  readonly sourcePort?: number | undefined;
  /** TCP and UDP; 0 unless told. */
  readonly destinationPort?: number | undefined;
  /** ICMP and ICMPv6; 0 unless told. */
  readonly icmpType?: number | undefined;
  readonly icmpCode?: number | undefined;
  /** Bits of TCP_FLAGS; SYN unless told. */
  readonly tcpFlags?: number | undefined;
  /** 64 unless told, 255 for ICMPv6 neighbour discovery. */
  readonly hopLimit?: number | undefined;
  /** What follows the header and the identity. */
  readonly payload?: Uint8Array | undefined;
  readonly fragments?: Fragmentation | undefined;
}

const addresses = new Map<string, Address>();

/** The address that `text` is the usual text of; an Address is returned as it is. */
export function toAddress(text: string | Address): Address {
  if (typeof text !== 'string') return text;
  let address = addresses.get(text);
  if (address === undefined) {
    address = addressFromBytes(Uint8Array.from(ipaddr.parse(text).toByteArray()));
    addresses.set(text, address);
  }
  return address;
}

/** The address's bytes in network order: 4 or 16. */
function addressBytes({ family, value }: Address): Buffer {
  return Buffer.from(value.toString(16).padStart(addressBits(family) / 4, '0'), 'hex');
}

/** The whole packet, from its IP header on, with all checksums right; never in fragments. */
export function buildPacket(description: PacketDescription): Buffer {
  const source = toAddress(description.source);
  const destination = toAddress(description.destination);
  if (source.family !== destination.family) throw new RangeError('source and destination are of different families');
  const ends = { source: addressBytes(source), destination: addressBytes(destination) };
  const body = buildBody(description, ends);
  return source.family === 'ipv4' ? ipv4Packet(description, ends, body) : ipv6Packet(description, ends, body);
}

/** The Internet checksum (RFC 1071) of `data`; an odd last byte counts as the high one of a pair. */
export function checksum(data: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i + 1 < data.length; i += 2) sum += ((data[i] as number) << 8) | (data[i + 1] as number);
  if (data.length % 2 === 1) sum += (data[data.length - 1] as number) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

interface Ends {
  readonly source: Buffer;
  readonly destination: Buffer;
}

function buildBody(description: PacketDescription, ends: Ends): Buffer {
  const { protocol, identity, payload = new Uint8Array() } = description;
  const isIpv4 = ends.source.length === 4;
  if (protocol === TCP) return tcpSegment(description, ends);
  if (protocol === UDP) return udpDatagram(description, ends);
  if (protocol === (isIpv4 ? ICMP : ICMPV6)) return icmpMessage(description, ends);
  const header = Buffer.alloc(protocol === GRE ? 8 : 4);
  // GRE without checksum, key or sequence number (RFC 2784): no flags, version 0, then the payload's EtherType.
  if (protocol === GRE) header.writeUInt16BE(isIpv4 ? 0x0800 : 0x86dd, 2);
  header.writeUInt32BE(identity, header.length - 4);
  return Buffer.concat([header, payload]);
}

function tcpSegment(description: PacketDescription, ends: Ends): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(description.sourcePort ?? 40_000, 0);
  header.writeUInt16BE(description.destinationPort ?? 0, 2);
  header.writeUInt32BE(description.identity, 4);
  header[12] = 5 << 4;
  header[13] = description.tcpFlags ?? TCP_FLAGS.syn;
  header.writeUInt16BE(0xffff, 14);
  const segment = Buffer.concat([header, description.payload ?? new Uint8Array()]);
  segment.writeUInt16BE(transportChecksum(TCP, ends, segment), 16);
  return segment;
}

function udpDatagram(description: PacketDescription, ends: Ends): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(description.sourcePort ?? 40_000, 0);
  header.writeUInt16BE(description.destinationPort ?? 0, 2);
  header.writeUInt32BE(description.identity, 8);
  const datagram = Buffer.concat([header, description.payload ?? new Uint8Array()]);
  datagram.writeUInt16BE(datagram.length, 4);
  // 0 would mean "no checksum" (RFC 768), so a sum of 0 is sent as its other form.
  datagram.writeUInt16BE(transportChecksum(UDP, ends, datagram) || 0xffff, 6);
  return datagram;
}

function icmpMessage(description: PacketDescription, ends: Ends): Buffer {
  const header = Buffer.alloc(8);
  header[0] = description.icmpType ?? 0;
  header[1] = description.icmpCode ?? 0;
  header.writeUInt32BE(description.identity, 4);
  const message = Buffer.concat([header, description.payload ?? new Uint8Array()]);
  message.writeUInt16BE(
    description.protocol === ICMP ? checksum(message) : transportChecksum(ICMPV6, ends, message),
    2,
  );
  return message;
}

function transportChecksum(protocol: number, { source, destination }: Ends, body: Buffer): number {
  // The IPv4 pseudo header's fields are narrower, but give the same sum.
  const tail = Buffer.alloc(8);
  tail.writeUInt32BE(body.length, 0);
  tail.writeUInt32BE(protocol, 4);
  return checksum(Buffer.concat([source, destination, tail, body]));
}

function ipv4Packet(description: PacketDescription, { source, destination }: Ends, body: Buffer): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(header.length + body.length, 2);
  // With an identification of 0 the kernel fills in one of its own on output.
  header.writeUInt16BE(description.identity & 0xffff || 0xffff, 4);
  header[8] = description.hopLimit ?? (isGroupMembership(description, destination) ? 1 : 64);
  header[9] = description.protocol;
  source.copy(header, 12);
  destination.copy(header, 16);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, body]);
}

function ipv6Packet(description: PacketDescription, { source, destination }: Ends, body: Buffer): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32BE(((6 << 28) | (description.identity & 0xfffff)) >>> 0, 0);
  header.writeUInt16BE(body.length, 4);
  header[6] = description.protocol;
  header[7] =
    description.hopLimit ?? (isNeighborDiscovery(description) ? 255 : isListenerDiscovery(description) ? 1 : 64);
  source.copy(header, 8);
  destination.copy(header, 24);
  return Buffer.concat([header, body]);
}

/** RFC 3376 section 4: IGMP. */
function isGroupMembership({ protocol }: PacketDescription, destination: Buffer): boolean {
  return protocol === 2 && destination.readUInt8(0) >= 224;
}

/** RFC 3810 section 5. */
function isListenerDiscovery({ protocol, icmpType = 0 }: PacketDescription): boolean {
  return protocol === ICMPV6 && [130, 131, 132, 143].includes(icmpType);
}

function isNeighborDiscovery({ protocol, icmpType = 0 }: PacketDescription): boolean {
  return protocol === ICMPV6 && icmpType >= 133 && icmpType <= 137;
}
