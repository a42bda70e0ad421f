import { checksum } from './packet.ts';

const IPV6_FRAGMENT = 44;
const MORE_FRAGMENTS = 0x2000;

/** The packets' places in their whole, as their headers tell; `key` is the same for all fragments of one packet. */
interface Piece {
  readonly key: string;
  readonly offset: number;
  readonly isLast: boolean;
  readonly body: Buffer;
  /** The whole packet's header, its length still to be set. */
  readonly header: Buffer;
}

/** What fragments add up to. */
export interface Reassembly {
  readonly whole: readonly Buffer[];
  /** Fragments of packets that did not come in full. */
  readonly partial: readonly Buffer[];
}

/** Cuts a whole packet without options or extension headers into fragments of `size` bytes of IP payload, in order. */
export function fragmentPacket(packet: Buffer, size: number): Buffer[] {
  if (size % 8 !== 0 || size <= 0) throw new RangeError(`a fragment's size is a multiple of 8, not ${size}`);
  const isIpv4 = packet.readUInt8(0) >> 4 === 4;
  const body = packet.subarray(isIpv4 ? 20 : 40);
  const count = Math.ceil(body.length / size);
  return Array.from({ length: count }, (_, i) => {
    const part = body.subarray(i * size, (i + 1) * size);
    const place = { offset: i * size, isLast: i === count - 1 };
    return isIpv4 ? ipv4Fragment(packet, part, place) : ipv6Fragment(packet, part, place);
  });
}

/** Whether `packet` is a fragment, the first one included. */
export function isFragment(packet: Buffer): boolean {
  return packet.readUInt8(0) >> 4 === 4
    ? (packet.readUInt16BE(6) & 0x3fff) !== 0
    : packet.readUInt8(6) === IPV6_FRAGMENT;
}

/** Puts fragments together, in whatever order they came, into the packets that `fragmentPacket` cut. */
export function reassemble(fragments: readonly Buffer[]): Reassembly {
  const groups = new Map<string, Buffer[]>();
  for (const fragment of fragments) {
    const { key } = readPiece(fragment);
    groups.set(key, [...(groups.get(key) ?? []), fragment]);
  }
  const whole: Buffer[] = [];
  const partial: Buffer[] = [];
  for (const group of groups.values()) {
    const packet = join(group.map(readPiece).sort((a, b) => a.offset - b.offset));
    if (packet === undefined) partial.push(...group);
    else whole.push(packet);
  }
  return { whole, partial };
}

function join(pieces: readonly Piece[]): Buffer | undefined {
  let length = 0;
  for (const { offset, body } of pieces) {
    if (offset !== length) return undefined;
    length += body.length;
  }
  const first = pieces[0];
  if (first === undefined || pieces.at(-1)?.isLast !== true) return undefined;
  const packet = Buffer.concat([first.header, ...pieces.map(({ body }) => body)]);
  if (first.header.length === 20) setIpv4Lengths(packet);
  else packet.writeUInt16BE(length, 4);
  return packet;
}

interface Place {
  readonly offset: number;
  readonly isLast: boolean;
}

function ipv4Fragment(packet: Buffer, part: Buffer, { offset, isLast }: Place): Buffer {
  const fragment = Buffer.concat([packet.subarray(0, 20), part]);
  fragment.writeUInt16BE((offset / 8) | (isLast ? 0 : MORE_FRAGMENTS), 6);
  setIpv4Lengths(fragment);
  return fragment;
}

function ipv6Fragment(packet: Buffer, part: Buffer, { offset, isLast }: Place): Buffer {
  const header = Buffer.from(packet.subarray(0, 40));
  header.writeUInt16BE(8 + part.length, 4);
  header[6] = IPV6_FRAGMENT;
  const extension = Buffer.alloc(8);
  extension[0] = packet.readUInt8(6);
  extension.writeUInt16BE(offset | (isLast ? 0 : 1), 2);
  // RFC 8200 wants 32 bits that do not repeat; the flow label holds 20 of the packet's identity.
  extension.writeUInt32BE(packet.readUInt32BE(0) & 0xfffff, 4);
  return Buffer.concat([header, extension, part]);
}

function setIpv4Lengths(packet: Buffer): void {
  packet.writeUInt16BE(packet.length, 2);
  packet.writeUInt16BE(0, 10);
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10);
}

function readPiece(fragment: Buffer): Piece {
  const isIpv4 = fragment.readUInt8(0) >> 4 === 4;
  const place = fragment.readUInt16BE(isIpv4 ? 6 : 42);
  const header = Buffer.from(fragment.subarray(0, isIpv4 ? 20 : 40));
  if (isIpv4) {
    header.writeUInt16BE(0, 6);
    const key = Buffer.concat([fragment.subarray(4, 6), fragment.subarray(9, 10), fragment.subarray(12, 20)]);
    const isLast = (place & MORE_FRAGMENTS) === 0;
    return { key: key.toString('hex'), offset: (place & 0x1fff) * 8, isLast, body: fragment.subarray(20), header };
  }
  header[6] = fragment.readUInt8(40);
  const key = Buffer.concat([fragment.subarray(8, 40), fragment.subarray(44, 48)]).toString('hex');
  return { key, offset: place & 0xfff8, isLast: (place & 1) === 0, body: fragment.subarray(48), header };
}
