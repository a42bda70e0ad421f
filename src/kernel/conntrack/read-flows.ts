import { type Address, addressFromBytes } from '#core/model/net/address.ts';
import type { Flow } from '#core/model/packet/flow.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { messageAttributes, netlinkAttributes } from '#kernel/netlink/netlink-attributes.ts';
import * as CT from './conntrack-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
const CTA_PROTO_ICMP_TYPE = 5;
const CTA_PROTO_ICMP_CODE = 6;
const CTA_PROTO_ICMPV6_TYPE = 8;
const CTA_PROTO_ICMPV6_CODE = 9;

/**
 * Reads the live flows that the kernel tracks in the process's network namespace. A translated destination is the one after
 * translation, which rules of the input hook see. Throws a NetfilterError: `not-permitted` without CAP_NET_ADMIN.
 */
export async function readFlows(): Promise<readonly Flow[]> {
  const socket = new NetfilterSocket();
  const flows: Flow[] = [];
  try {
    await socket.dump({ type: CT.CT_GET, family: CT.AF_UNSPEC }, ({ data }) => {
      const flow = readFlow(data);
      if (flow !== undefined) flows.push(flow);
    });
  } finally {
    socket.close();
  }
  return flows;
}

/** Reads one flow of a dump; undefined for flows that are not IP, and for ended TCP connections. */
function readFlow(data: Buffer): Flow | undefined {
  let opener: Tuple | undefined;
  let reply: Tuple | undefined;
  for (const { type, value } of messageAttributes(data)) {
    if (type === CT.CTA_TUPLE_ORIG) opener = readTuple(value);
    else if (type === CT.CTA_TUPLE_REPLY) reply = readTuple(value);
    else if (type === CT.CTA_PROTOINFO && hasEnded(value)) return undefined;
  }
  const destination = reply?.source ?? opener?.destination;
  if (opener?.source === undefined || destination === undefined || opener.protocol === undefined) return undefined;
  return {
    protocol: opener.protocol,
    source: opener.source,
    destination,
    sourcePort: opener.sourcePort,
    destinationPort: reply?.sourcePort ?? opener.destinationPort,
    icmpType: opener.icmpType,
    icmpCode: opener.icmpCode,
  };
}

function hasEnded(protocolInfo: Buffer): boolean {
  for (const { type, value } of netlinkAttributes(protocolInfo)) {
    if (type !== CT.CTA_PROTOINFO_TCP) continue;
    for (const attribute of netlinkAttributes(value))
      if (attribute.type === CT.CTA_PROTOINFO_TCP_STATE) return attribute.value.readUInt8(0) >= CT.FIRST_ENDED_STATE;
  }
  return false;
}

interface Tuple {
  source?: Address;
  destination?: Address;
  protocol?: number;
  sourcePort?: number;
  destinationPort?: number;
  icmpType?: number;
  icmpCode?: number;
}

function readTuple(bytes: Buffer): Tuple {
  const tuple: Tuple = {};
  for (const { type, value } of netlinkAttributes(bytes)) {
    if (type === CT.CTA_TUPLE_IP) readAddresses(value, tuple);
    else if (type === CT.CTA_TUPLE_PROTO) readProtocol(value, tuple);
  }
  return tuple;
}

function readAddresses(bytes: Buffer, tuple: Tuple): void {
  for (const { type, value } of netlinkAttributes(bytes)) {
    if (value.length !== 4 && value.length !== 16) continue;
    if (type === CT.CTA_IP_V4_SRC || type === CT.CTA_IP_V6_SRC) tuple.source = addressFromBytes(value);
    else if (type === CT.CTA_IP_V4_DST || type === CT.CTA_IP_V6_DST) tuple.destination = addressFromBytes(value);
  }
}

function readProtocol(bytes: Buffer, tuple: Tuple): void {
  for (const { type, value } of netlinkAttributes(bytes)) {
    switch (type) {
      case CT.CTA_PROTO_NUM:
        tuple.protocol = value.readUInt8(0);
        break;
      case CT.CTA_PROTO_SRC_PORT:
        tuple.sourcePort = value.readUInt16BE(0);
        break;
      case CT.CTA_PROTO_DST_PORT:
        tuple.destinationPort = value.readUInt16BE(0);
        break;
      case CTA_PROTO_ICMP_TYPE:
      case CTA_PROTO_ICMPV6_TYPE:
        tuple.icmpType = value.readUInt8(0);
        break;
      case CTA_PROTO_ICMP_CODE:
      case CTA_PROTO_ICMPV6_CODE:
        tuple.icmpCode = value.readUInt8(0);
        break;
    }
  }
}
