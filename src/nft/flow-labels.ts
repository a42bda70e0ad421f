import { parseAttributes } from 'netlink/dist/structs.js';
import { LABEL_BYTES, labelOf } from './encode-rules.ts';
import { HEADER_BYTES, MessageWriter } from './message-writer.ts';
import { NetfilterError } from './netfilter-error.ts';
import type { NetfilterSocket } from './netfilter-socket.ts';

// Kernel facts: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
const IPCTNL_MSG_CT_NEW = (1 << 8) | 0;
const IPCTNL_MSG_CT_GET = (1 << 8) | 1;
const CTA_TUPLE_ORIG = 1;
const CTA_ZONE = 18;
const CTA_LABELS = 22;
const CTA_LABELS_MASK = 23;
const NFGENMSG_BYTES = 4;
const NLA_F_NESTED = 0x8000;

/** Passes over all flows: one clears them, one more finds none, unless flows are being labelled meanwhile. */
const MOST_PASSES = 4;

/** A flow as it is named to the kernel. */
interface LabelledFlow {
  readonly family: number;
  readonly tuple: Buffer;
  readonly zone: Buffer | undefined;
}

/**
 * Takes labels from every flow of this network namespace. Returns how many flows had one of them, and how many still
 * had at the last look. Flows that end meanwhile are no trouble. Throws a NetfilterError.
 */
export async function clearFlowLabels(
  socket: NetfilterSocket,
  labels: readonly number[],
): Promise<{ readonly cleared: number; readonly left: number }> {
  const mask = labelOf(labels);
  let cleared = 0;
  for (let pass = 1; ; pass += 1) {
    const flows = await labelledFlows(socket, mask);
    if (flows.length === 0 || pass === MOST_PASSES) return { cleared, left: flows.length };
    await clear(socket, flows, mask);
    cleared += flows.length;
  }
}

async function labelledFlows(socket: NetfilterSocket, mask: Buffer): Promise<readonly LabelledFlow[]> {
  const flows: LabelledFlow[] = [];
  try {
    await socket.dump({ type: IPCTNL_MSG_CT_GET, family: 0 }, ({ data }) => {
      let tuple: Buffer | undefined;
      let zone: Buffer | undefined;
      let label: Buffer | undefined;
      parseAttributes(data.subarray(NFGENMSG_BYTES), ({ type, data: value }) => {
        const kind = type & ~NLA_F_NESTED;
        if (kind === CTA_TUPLE_ORIG) tuple = value;
        if (kind === CTA_ZONE) zone = value;
        if (kind === CTA_LABELS) label = value;
      });
      if (tuple === undefined || label === undefined) return;
      if (!label.some((byte, i) => (byte & (mask[i] ?? 0)) !== 0)) return;
      // What was read is in memory that the next message overwrites.
      flows.push({ family: data[0] ?? 0, tuple: Buffer.from(tuple), zone: zone && Buffer.from(zone) });
    });
  } catch (error) {
    // Where conntrack's netlink is not there, nothing has labelled anything.
    if (error instanceof NetfilterError && error.errno === 'EINVAL') return [];
    throw error;
  }
  return flows;
}

async function clear(socket: NetfilterSocket, flows: readonly LabelledFlow[], mask: Buffer): Promise<void> {
  const none = Buffer.alloc(LABEL_BYTES);
  const writer = new MessageWriter();
  for (let next = 0; next < flows.length; ) {
    writer.clear();
    for (; next < flows.length && writer.messages.length < MOST_BYTES_AT_ONCE; next += 1) {
      const flow = flows[next];
      if (flow === undefined) continue;
      writer.beginMessage({ type: IPCTNL_MSG_CT_NEW, flags: 0, family: flow.family });
      writer.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, flow.tuple);
      if (flow.zone !== undefined) writer.bytes(CTA_ZONE, flow.zone);
      writer.bytes(CTA_LABELS, none);
      writer.bytes(CTA_LABELS_MASK, mask);
      writer.endMessage();
    }
    // A flow that has ended meanwhile is refused (ENOENT), and that is as good.
    await socket.request(writer.messages);
  }
}

/** Some 200 flows, which the kernel takes within a millisecond: in between, other work goes on. */
const MOST_BYTES_AT_ONCE = 200 * (HEADER_BYTES + 120);
