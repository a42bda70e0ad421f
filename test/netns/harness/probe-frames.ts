import { buildPacket } from './packet.ts';

/** The source MAC of all probes; no interface has it. */
export const PROBE_MAC = '02:53:47:00:00:01';

/** The source MAC of the packet that ends each batch. */
export const SENTINEL_MAC = '02:53:47:00:00:02';

/** `packet` as an Ethernet frame; a multicast or broadcast destination gets its own MAC, any other `nextHop`'s. */
export function ethernetFrame(packet: Buffer, source: string, nextHop: string): Buffer {
  const isIpv4 = packet.readUInt8(0) >> 4 === 4;
  const header = Buffer.alloc(14);
  (groupMac(packet, isIpv4) ?? macBytes(nextHop)).copy(header, 0);
  macBytes(source).copy(header, 6);
  header.writeUInt16BE(isIpv4 ? 0x0800 : 0x86dd, 12);
  return Buffer.concat([header, packet]);
}

/** The packet that ends batch `number`: valid, and of a protocol reserved for experiments (RFC 3692). */
export function sentinelPacket(number: number): Buffer {
  return buildPacket({ source: '192.0.2.1', destination: '192.0.2.2', protocol: 254, identity: number });
}

function groupMac(packet: Buffer, isIpv4: boolean): Buffer | undefined {
  const destination = isIpv4 ? packet.subarray(16, 20) : packet.subarray(24, 40);
  if (!isIpv4) {
    return destination[0] === 0xff ? Buffer.concat([Buffer.from([0x33, 0x33]), destination.subarray(12)]) : undefined;
  }
  if (destination.readUInt32BE(0) === 0xffff_ffff) return Buffer.alloc(6, 0xff);
  const group = destination.readUInt32BE(0) & 0x7f_ffff;
  return destination.readUInt8(0) >> 4 === 0xe ? macBytes('01:00:5e:00:00:00', group) : undefined;
}

function macBytes(text: string, add = 0): Buffer {
  const bytes = Buffer.from(text.replaceAll(':', ''), 'hex');
  if (add > 0) bytes.writeUIntBE(bytes.readUIntBE(0, 6) + add, 0, 6);
  return bytes;
}
