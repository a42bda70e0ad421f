import type { FlowEnd } from '#core/model/packet/flow-key.ts';
import { hasFlows } from '#core/model/policy/protocol-lookup.ts';
import { type FlowProtocol, TCP, UDP } from '#core/model/policy/protocols.ts';
import { MessageWriter, NETFILTER_HEADER_BYTES } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import * as CT from './conntrack-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h, nf_conntrack_tcp.h, nf_conntrack_common.h.
const CTA_STATUS = 3;
const CTA_TIMEOUT = 7;
const CTA_ID = 12;
const CTA_PROTOINFO_TCP_FLAGS_ORIGINAL = 4;
const CTA_PROTOINFO_TCP_FLAGS_REPLY = 5;
const TCP_CONNTRACK_ESTABLISHED = 3;
const IPS_SEEN_REPLY_ASSURED_CONFIRMED = 2 | 4 | 8;
const IP_CT_TCP_FLAG_BE_LIBERAL = 8;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const AF_INET = 2;
const AF_INET6 = 10;
const ATTRIBUTE_HEADER_BYTES = 4;
const TYPE_MASK = 0x3fff;

/** The size at which a portion ends: some 100 flows, which the kernel takes in well below a millisecond. */
const PORTION_BYTES = 16_000;

/** A TCP or UDP flow that conntrack knows, with the addresses its packets have between the input and output hooks. */
export interface TrackedFlow {
  readonly protocol: FlowProtocol;
  /** The sender of its first packet, as far as conntrack knows. */
  readonly opener: FlowEnd;
  /** The destination of its first packet, after translation. */
  readonly called: FlowEnd;
  /** Whether it is a TCP connection that conntrack considers ended. */
  readonly isEnded: boolean;
}

/** Identifies one entry of conntrack, and no later one with the same addresses and ports. */
export type TrackedIdentity = Buffer & { readonly trackedIdentity: never };

/** A flow to tell conntrack of. */
export interface SeededFlow {
  readonly protocol: FlowProtocol;
  readonly opener: FlowEnd;
  readonly called: FlowEnd;
  /** How long the entry lives without a packet. */
  readonly seconds: number;
}

/**
 * Hands `visit` the TCP and UDP flows of the process's network namespace as they come; `identify` copies the identity of a
 * flow. Throws a NetfilterError.
 */
export async function readTrackedFlows(
  socket: NetfilterSocket,
  visit: (flow: TrackedFlow, identify: () => TrackedIdentity) => void,
): Promise<void> {
  await socket.dump({ type: CT.CT_GET, family: CT.AF_UNSPEC }, ({ data }) => {
    const flow = readFlow(data);
    if (flow !== undefined) visit(flow, () => identityIn(data));
  });
}

/** Makes conntrack forget flows; flows that it has already forgotten are ignored. Throws a NetfilterError. */
export async function forgetFlows(socket: NetfilterSocket, flows: readonly TrackedIdentity[]): Promise<void> {
  await inPortions(socket, flows, (writer, identity) => {
    writer.beginMessage({ type: CT.CT_DELETE, flags: 0, family: identity[0] ?? CT.AF_UNSPEC });
    writer.raw(identity.subarray(NETFILTER_HEADER_BYTES));
    writer.endMessage();
  });
}

/**
 * Tells conntrack of live flows whose beginning it has not seen; entries that exist stay as they are. Returns how many were
 * new. Throws a NetfilterError.
 */
export async function seedFlows(socket: NetfilterSocket, flows: readonly SeededFlow[]): Promise<number> {
  return inPortions(socket, flows, writeSeed);
}

/** Sends a message for each item and returns how many the kernel accepted; flows that came or went in the meantime are refused, which is no failure. */
async function inPortions<Item>(
  socket: NetfilterSocket,
  items: readonly Item[],
  write: (writer: MessageWriter, item: Item) => void,
): Promise<number> {
  const writer = new MessageWriter();
  let done = items.length;
  let next = 0;
  while (next < items.length) {
    for (; next < items.length && writer.messages.length < PORTION_BYTES; next += 1) write(writer, items[next] as Item);
    done -= (await socket.request(writer.messages)).length;
    writer.clear();
  }
  return done;
}

function writeSeed(writer: MessageWriter, { protocol, opener, called, seconds }: SeededFlow): void {
  const family = opener.address.length === 4 ? AF_INET : AF_INET6;
  writer.beginMessage({ type: CT.CT_NEW, flags: NLM_F_CREATE | NLM_F_EXCL, family });
  writeTuple(writer, CT.CTA_TUPLE_ORIG, protocol, [opener, called]);
  writeTuple(writer, CT.CTA_TUPLE_REPLY, protocol, [called, opener]);
  writer.number(CTA_STATUS, IPS_SEEN_REPLY_ASSURED_CONFIRMED);
  writer.number(CTA_TIMEOUT, seconds);
  STATE_WRITERS[protocol](writer);
  writer.endMessage();
}

/** Writes the protocol state that conntrack keeps of a live flow. */
const STATE_WRITERS: Readonly<Record<FlowProtocol, (writer: MessageWriter) => void>> = {
  [TCP](writer) {
    const info = writer.beginNest(CT.CTA_PROTOINFO);
    const tcp = writer.beginNest(CT.CTA_PROTOINFO_TCP);
    writer.bytes(CT.CTA_PROTOINFO_TCP_STATE, Uint8Array.of(TCP_CONNTRACK_ESTABLISHED));
    // Its windows are unknown, as for a flow that conntrack picks up midway (tcp_new).
    const liberal = Uint8Array.of(IP_CT_TCP_FLAG_BE_LIBERAL, IP_CT_TCP_FLAG_BE_LIBERAL);
    writer.bytes(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, liberal);
    writer.bytes(CTA_PROTOINFO_TCP_FLAGS_REPLY, liberal);
    writer.endNest(tcp);
    writer.endNest(info);
  },
  [UDP]: () => undefined,
};

function writeTuple(
  writer: MessageWriter,
  type: number,
  protocol: FlowProtocol,
  [source, destination]: readonly [FlowEnd, FlowEnd],
): void {
  const isIpv4 = source.address.length === 4;
  const tuple = writer.beginNest(type);
  const ip = writer.beginNest(CT.CTA_TUPLE_IP);
  writer.bytes(isIpv4 ? CT.CTA_IP_V4_SRC : CT.CTA_IP_V6_SRC, Buffer.from(source.address, 'latin1'));
  writer.bytes(isIpv4 ? CT.CTA_IP_V4_DST : CT.CTA_IP_V6_DST, Buffer.from(destination.address, 'latin1'));
  writer.endNest(ip);
  const proto = writer.beginNest(CT.CTA_TUPLE_PROTO);
  writer.bytes(CT.CTA_PROTO_NUM, Uint8Array.of(protocol));
  writer.bytes(CT.CTA_PROTO_SRC_PORT, Buffer.from(source.port, 'latin1'));
  writer.bytes(CT.CTA_PROTO_DST_PORT, Buffer.from(destination.port, 'latin1'));
  writer.endNest(proto);
  writer.endNest(tuple);
}

// The hot path: 100,000 flows pass here, so attributes are walked in place, without objects for them.
function readFlow(data: Buffer): TrackedFlow | undefined {
  let opener: FlowEnd | undefined;
  let called: FlowEnd | undefined;
  let protocol = 0;
  let isEnded = false;
  for (let at = NETFILTER_HEADER_BYTES; at + ATTRIBUTE_HEADER_BYTES <= data.length; ) {
    const length = data.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_BYTES || at + length > data.length) break;
    const type = data.readUInt16LE(at + 2) & TYPE_MASK;
    if (type === CT.CTA_TUPLE_ORIG) {
      protocol = protocolIn(data, at, at + length);
      if (!hasFlows(protocol)) return undefined;
      opener = sourceIn(data, at, at + length);
    } else if (type === CT.CTA_TUPLE_REPLY) called = sourceIn(data, at, at + length);
    else if (type === CT.CTA_PROTOINFO) isEnded = stateIn(data, at, at + length) >= CT.FIRST_ENDED_STATE;
    at += (length + 3) & ~3;
  }
  if (opener === undefined || called === undefined || !hasFlows(protocol)) return undefined;
  return { protocol, opener, called, isEnded };
}

/** The offset of the value of an attribute in the nest at `nest`; -1 if there is none. */
function find(data: Buffer, nest: number, end: number, type: number): number {
  for (let at = nest + ATTRIBUTE_HEADER_BYTES; at + ATTRIBUTE_HEADER_BYTES <= end; ) {
    if ((data.readUInt16LE(at + 2) & TYPE_MASK) === type) return at + ATTRIBUTE_HEADER_BYTES;
    const length = data.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_BYTES) return -1;
    at += (length + 3) & ~3;
  }
  return -1;
}

/** Like {@link find}, for an attribute within two nests. */
function findIn(data: Buffer, nest: number, end: number, types: readonly [number, number]): number {
  const inner = find(data, nest, end, types[0]);
  if (inner < 0) return -1;
  const header = inner - ATTRIBUTE_HEADER_BYTES;
  return find(data, header, Math.min(end, header + data.readUInt16LE(header)), types[1]);
}

function protocolIn(data: Buffer, tuple: number, end: number): number {
  const at = findIn(data, tuple, end, PATHS.protocol);
  return at < 0 ? 0 : (data[at] ?? 0);
}

function sourceIn(data: Buffer, tuple: number, end: number): FlowEnd | undefined {
  const port = findIn(data, tuple, end, PATHS.sourcePort);
  const ipv4 = findIn(data, tuple, end, PATHS.ipv4Source);
  const address = ipv4 < 0 ? findIn(data, tuple, end, PATHS.ipv6Source) : ipv4;
  if (port < 0 || address < 0) return undefined;
  return {
    address: data.toString('latin1', address, address + (ipv4 < 0 ? 16 : 4)),
    port: data.toString('latin1', port, port + 2),
  };
}

function stateIn(data: Buffer, info: number, end: number): number {
  const at = findIn(data, info, end, PATHS.tcpState);
  return at < 0 ? 0 : (data[at] ?? 0);
}

const PATHS = {
  protocol: [CT.CTA_TUPLE_PROTO, CT.CTA_PROTO_NUM],
  sourcePort: [CT.CTA_TUPLE_PROTO, CT.CTA_PROTO_SRC_PORT],
  ipv4Source: [CT.CTA_TUPLE_IP, CT.CTA_IP_V4_SRC],
  ipv6Source: [CT.CTA_TUPLE_IP, CT.CTA_IP_V6_SRC],
  tcpState: [CT.CTA_PROTOINFO_TCP, CT.CTA_PROTOINFO_TCP_STATE],
} as const;

/** Netfilter's header, then the attributes by which the kernel finds an entry and distinguishes it from later ones (ctnetlink_del_conntrack). */
function identityIn(data: Buffer): TrackedIdentity {
  const parts: Buffer[] = [data.subarray(0, NETFILTER_HEADER_BYTES)];
  for (let at = NETFILTER_HEADER_BYTES; at + ATTRIBUTE_HEADER_BYTES <= data.length; ) {
    const length = data.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER_BYTES) break;
    const next = at + ((length + 3) & ~3);
    const type = data.readUInt16LE(at + 2) & TYPE_MASK;
    if (type === CT.CTA_TUPLE_ORIG || type === CT.CTA_ZONE || type === CTA_ID) parts.push(data.subarray(at, next));
    at = next;
  }
  return Buffer.concat(parts) as TrackedIdentity;
}
