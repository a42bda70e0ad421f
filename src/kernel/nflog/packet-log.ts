import { Flags, MessageType } from 'netlink/dist/constants.js';
import { parseError, parseMessages } from 'netlink/dist/structs.js';
import { addressFromBytes, type Family } from '#core/model/net/address.ts';
import { LOG_SNAP_BYTES } from '#core/model/nft/packet-log.ts';
import type { LoggedPacket } from '#core/model/packet/logged-packet.ts';
import { selectorOf } from '#core/model/policy/protocol-lookup.ts';
import { NetfilterError, refusalOf } from '#kernel/errors.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import { attributeText, messageAttributes } from '#kernel/netlink/netlink-attributes.ts';
import { openNetfilterSocket } from '#kernel/netlink/open-netfilter-socket.ts';
import { closeLater, KERNEL_PORT } from '#kernel/netlink/raw-socket.ts';

// Kernel facts: include/uapi/linux/netfilter/nfnetlink_log.h.
const PACKET = 4 << 8;
const CONFIG = (4 << 8) | 1;
const NFULA_CFG_CMD = 1;
const NFULA_CFG_MODE = 2;
const NFULA_CFG_NLBUFSIZ = 3;
const NFULA_CFG_QTHRESH = 5;
const BIND = 1;
const COPY_PACKET = 2;
const NFULA_IFINDEX_INDEV = 4;
const NFULA_IFINDEX_OUTDEV = 5;
const NFULA_PAYLOAD = 9;
const NFULA_PREFIX = 10;

/**
 * The memory that the kernel takes for each packet whatever its length; it counts against the receive buffer, and some 300
 * fit. INVARIANT: the socket never overflows, since the package then aborts the process. Rules log at most 20 packets a
 * second, twice, so the process may be busy for several seconds.
 */
const MESSAGE_BYTES = 512;

/** An open packet log. */
export interface PacketLog {
  close(): void;
}

/** The reader of a packet log. */
export interface PacketLogReader {
  /** Must not throw. */
  readonly onPacket: (packet: LoggedPacket) => void;
  /** Called once, when reading has failed and ended. */
  readonly onError: (error: Error) => void;
}

/**
 * Reads the packets that rules log to `group` in the process's network namespace. Throws a NetfilterError: `not-permitted`
 * without CAP_NET_ADMIN, `refused` if another process reads the group.
 */
export async function openPacketLog(group: number, { onPacket, onError }: PacketLogReader): Promise<PacketLog> {
  const socket = openNetfilterSocket();
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeLater(socket);
    isOpen = false;
  };
  const bound = new Promise<void>((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const error = new NetfilterError('died', 'the packet log cannot be read', { cause });
      reject(error);
      if (isOpen) onError(error);
      close();
    };
    socket.on('error', fail);
    socket.on('truncatedMessage', () => fail('truncated'));
    // INVARIANT: nothing throws out of this listener; the native caller does not expect it.
    socket.on('message', (bytes, { port }) => {
      if (port !== KERNEL_PORT || !isOpen) return;
      try {
        for (const { type, data, flags } of parseMessages(bytes)) {
          if (type === MessageType.ERROR) {
            const { errno } = parseError(data, flags);
            if (errno === 0) resolve();
            else reject(refusalOf(errno, undefined));
          }
          const packet = type === PACKET ? readPacket(data) : undefined;
          if (packet !== undefined) onPacket(packet);
        }
      } catch (cause) {
        fail(cause);
      }
    });
  });
  socket.send(configuration(group), {}, (error) => {
    if (error !== undefined) socket.emit('error', error);
  });
  try {
    await bound;
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

function configuration(group: number): Buffer {
  const writer = new MessageWriter();
  writer.beginMessage({ type: CONFIG, flags: Flags.ACK, family: 0, resource: group });
  writer.bytes(NFULA_CFG_CMD, Uint8Array.of(BIND));
  const mode = Buffer.alloc(6);
  mode.writeUInt32BE(LOG_SNAP_BYTES, 0);
  mode.writeUInt8(COPY_PACKET, 4);
  writer.bytes(NFULA_CFG_MODE, mode);
  writer.number(NFULA_CFG_NLBUFSIZ, MESSAGE_BYTES);
  // Each packet is reported at once.
  writer.number(NFULA_CFG_QTHRESH, 1);
  writer.endMessage();
  return writer.messages;
}

/** Reads one packet of the log; undefined if it is not IP. */
function readPacket(data: Buffer): LoggedPacket | undefined {
  let prefix = '';
  let interfaceIndex = 0;
  let payload: Buffer | undefined;
  for (const { type, value } of messageAttributes(data)) {
    if (type === NFULA_PREFIX) prefix = attributeText(value);
    else if (type === NFULA_PAYLOAD) payload = value;
    else if (type === NFULA_IFINDEX_INDEV || type === NFULA_IFINDEX_OUTDEV) interfaceIndex = value.readUInt32BE(0);
  }
  const ip = payload === undefined ? undefined : readIp(payload);
  return ip === undefined ? undefined : { prefix, interfaceIndex, ...ip };
}

type IpPacket = Omit<LoggedPacket, 'prefix' | 'interfaceIndex'>;

function readIp(bytes: Buffer): IpPacket | undefined {
  const version = bytes.length === 0 ? 0 : bytes.readUInt8(0) >> 4;
  if (version === 4 && bytes.length >= 20) {
    const protocol = bytes.readUInt8(9);
    return {
      source: addressFromBytes(bytes.subarray(12, 16)),
      destination: addressFromBytes(bytes.subarray(16, 20)),
      ...transport(protocol, bytes.subarray(4 * (bytes.readUInt8(0) & 15)), 'ipv4'),
      length: bytes.readUInt16BE(2),
    };
  }
  if (version !== 6 || bytes.length < 40) return undefined;
  const { protocol, rest } = behindExtensions(bytes.readUInt8(6), bytes.subarray(40));
  return {
    source: addressFromBytes(bytes.subarray(8, 24)),
    destination: addressFromBytes(bytes.subarray(24, 40)),
    ...transport(protocol, rest, 'ipv6'),
    length: 40 + bytes.readUInt16BE(4),
  };
}

type Transport = Pick<IpPacket, 'protocol' | 'sourcePort' | 'destinationPort' | 'icmpType' | 'icmpCode'>;

function transport(protocol: number, bytes: Buffer, family: Family): Transport {
  const none = { sourcePort: undefined, destinationPort: undefined, icmpType: undefined, icmpCode: undefined };
  switch (selectorOf(protocol, family)) {
    case 'ports':
      if (bytes.length < 4) return { ...none, protocol };
      return { ...none, protocol, sourcePort: bytes.readUInt16BE(0), destinationPort: bytes.readUInt16BE(2) };
    case 'icmp':
      if (bytes.length < 2) return { ...none, protocol };
      return { ...none, protocol, icmpType: bytes.readUInt8(0), icmpCode: bytes.readUInt8(1) };
    case 'none':
      return { ...none, protocol };
  }
}

/** Hop-by-hop options, routing, fragment, destination options: RFC 8200 section 4. */
const FRAGMENT = 44;
const EXTENSIONS: readonly number[] = [0, 43, FRAGMENT, 60];

function behindExtensions(next: number, bytes: Buffer): { readonly protocol: number; readonly rest: Buffer } {
  let protocol = next;
  let rest = bytes;
  while (EXTENSIONS.includes(protocol) && rest.length >= 8) {
    const length = protocol === FRAGMENT ? 8 : 8 * (rest.readUInt8(1) + 1);
    protocol = rest.readUInt8(0);
    rest = rest.subarray(length);
  }
  return { protocol, rest };
}
