import type { PortRange } from '#core/model/policy/rule.ts';
import type { MessageWriter } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { messageAttributes, netlinkAttributes } from '#kernel/netlink/netlink-attributes.ts';
import {
  NFT_MSG_GETSETELEM,
  NFT_SET_ELEM_INTERVAL_END,
  NFTA_DATA_VALUE,
  NFTA_SET_ELEM_FLAGS,
  NFTA_SET_ELEM_KEY,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_TABLE,
  nftables,
} from './nftables-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h.
const HIGHEST_PORT = 65_535;

/** A set and its table. */
export interface SetName {
  readonly family: number;
  readonly table: string;
  readonly set: string;
}

/** Reads the ports in a set, ascending; empty for a set of something else. Throws a NetfilterError. */
export async function readSetPorts(
  socket: NetfilterSocket,
  { family, table, set }: SetName,
): Promise<readonly PortRange[]> {
  const attributes = (writer: MessageWriter): void => {
    writer.text(NFTA_SET_ELEM_LIST_TABLE, table);
    writer.text(NFTA_SET_ELEM_LIST_SET, set);
  };
  const edges: Edge[] = [];
  await socket.dump({ type: nftables(NFT_MSG_GETSETELEM), family, attributes }, ({ data }) => {
    for (const { type, value } of messageAttributes(data)) {
      if (type !== NFTA_SET_ELEM_LIST_ELEMENTS) continue;
      for (const { value: element } of netlinkAttributes(value)) edges.push(...edgeIn(element));
    }
  });
  return rangesOf(edges);
}

/** An element; in a set of intervals, the first port of one, or the port behind its last. */
interface Edge {
  readonly port: number;
  readonly isEnd: boolean;
}

function edgeIn(element: Buffer): readonly Edge[] {
  let port: number | undefined;
  let flags = 0;
  for (const { type, value } of netlinkAttributes(element)) {
    if (type === NFTA_SET_ELEM_FLAGS) flags = value.readUInt32BE(0);
    if (type !== NFTA_SET_ELEM_KEY) continue;
    for (const key of netlinkAttributes(value))
      if (key.type === NFTA_DATA_VALUE && key.value.length === 2) port = key.value.readUInt16BE(0);
  }
  return port === undefined ? [] : [{ port, isEnd: (flags & NFT_SET_ELEM_INTERVAL_END) !== 0 }];
}

function rangesOf(edges: readonly Edge[]): readonly PortRange[] {
  const hasIntervals = edges.some(({ isEnd }) => isEnd);
  const ordered = edges.toSorted((a, b) => a.port - b.port || Number(b.isEnd) - Number(a.isEnd));
  return ordered.flatMap(({ port, isEnd }, i) => {
    if (isEnd) return [];
    const end = ordered.slice(i + 1).find((edge) => edge.isEnd)?.port;
    return [{ from: port, to: hasIntervals ? (end ?? HIGHEST_PORT + 1) - 1 : port }];
  });
}
