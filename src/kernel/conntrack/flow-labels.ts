import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { messageAttributes } from '#kernel/netlink/netlink-attributes.ts';
import { LABEL_BYTES, labelOf } from '#kernel/nftables/encode-rules.ts';
import { AF_UNSPEC, CT_GET, CT_NEW, CTA_TUPLE_ORIG, CTA_ZONE } from './conntrack-messages.ts';
import { isConntrackLoaded } from './conntrack-state.ts';

// Kernel facts: include/uapi/linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h.
const CTA_LABELS = 22;
const CTA_LABELS_MASK = 23;

/** The size at which a portion ends: some 100 flows, whose answers fit the receive buffer, and which the kernel takes in well below a millisecond. */
const PORTION_BYTES = 16_000;
const NO_LABEL = Buffer.alloc(LABEL_BYTES);

/** The conntrack labels of the live flows. */
export interface FlowLabels {
  /** Clears these labels of every flow; returns whether no flow has one any more. Throws an NftError. */
  free(labels: readonly number[]): Promise<boolean>;
  close(): void;
}

/** Flow labels whose socket opens when it is first needed. */
export function createFlowLabels(): FlowLabels {
  const socket = new NetfilterSocket();
  return {
    async free(labels) {
      const { left } = await clearFlowLabels(socket, labels);
      return left === 0;
    },
    close: () => socket.close(),
  };
}

/** How far clearing labels has come. */
export interface ClearedLabels {
  /** How many times the bits were cleared of a flow's label. */
  readonly cleared: number;
  /** How many flows still had some of the bits in the last pass; 0 means that no flow of the namespace has any. */
  readonly left: number;
}

/**
 * Clears bits, 0..127, of the conntrack labels of all flows in the process's network namespace; other bits stay, and flows
 * continue. Repeats until a pass finds none, at most `passes` times: the next pass finds flows that rules have labelled in
 * the meantime. If conntrack is not loaded, there is nothing to clear. Throws a NetfilterError, and a RangeError for bits
 * that no label has, or for no bits.
 */
export async function clearFlowLabels(
  socket: NetfilterSocket,
  bits: readonly number[],
  passes = 5,
): Promise<ClearedLabels> {
  const mask = labelOf(bits);
  let cleared = 0;
  for (let pass = 1; await isConntrackLoaded(); pass += 1) {
    const { found, portions } = await findLabelled(socket, mask);
    if (found === 0 || pass >= passes) return { cleared, left: found };
    cleared += found;
    for (const portion of portions) {
      // A flow that has ended is refused; the next pass finds whatever else was refused.
      cleared -= (await socket.request(portion)).length;
    }
  }
  return { cleared, left: 0 };
}

interface Labelled {
  readonly found: number;
  /** The messages that clear the bits of all flows found. */
  readonly portions: readonly Buffer[];
}

async function findLabelled(socket: NetfilterSocket, mask: Buffer): Promise<Labelled> {
  const full: Buffer[] = [];
  let writer = new MessageWriter();
  let found = 0;
  await socket.dump({ type: CT_GET, family: AF_UNSPEC }, ({ data }) => {
    const flow = readFlow(data);
    if (flow?.label === undefined || !sharesBits(flow.label, mask)) return;
    found += 1;
    writeClearing(writer, flow, mask);
    if (writer.messages.length < PORTION_BYTES) return;
    full.push(writer.messages);
    writer = new MessageWriter();
  });
  if (writer.messages.length > 0) full.push(writer.messages);
  return { found, portions: full };
}

/** The attributes of a flow, with their headers, as the kernel wrote them. */
interface Flow {
  readonly family: number;
  readonly tuple: Buffer;
  readonly zone: Buffer | undefined;
  /** The kernel includes the label of a flow only if it has a bit set (ctnetlink_dump_labels). */
  readonly label: Buffer | undefined;
}

function readFlow(data: Buffer): Flow | undefined {
  let tuple: Buffer | undefined;
  let zone: Buffer | undefined;
  let label: Buffer | undefined;
  for (const { type, start, value, next } of messageAttributes(data)) {
    if (type === CTA_TUPLE_ORIG) tuple = data.subarray(start, next);
    else if (type === CTA_ZONE) zone = data.subarray(start, next);
    else if (type === CTA_LABELS) label = value;
  }
  return tuple === undefined ? undefined : { family: data[0] ?? AF_UNSPEC, tuple, zone, label };
}

function sharesBits(label: Buffer, mask: Buffer): boolean {
  return label.some((byte, i) => (byte & (mask[i] ?? 0)) !== 0);
}

/**
 * The kernel keeps the bits outside the mask and sets the others to the label's, each 32-bit word atomically
 * (nf_connlabels_replace), so that a bit which a rule sets at the same time is not lost.
 */
function writeClearing(writer: MessageWriter, { family, tuple, zone }: Flow, mask: Buffer): void {
  writer.beginMessage({ type: CT_NEW, flags: 0, family });
  writer.raw(tuple);
  if (zone !== undefined) writer.raw(zone);
  writer.bytes(CTA_LABELS, NO_LABEL);
  writer.bytes(CTA_LABELS_MASK, mask);
  writer.endMessage();
}
