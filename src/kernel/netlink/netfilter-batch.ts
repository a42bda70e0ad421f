import { Flags } from 'netlink/dist/constants.js';
import { HEADER_BYTES } from './message-writer.ts';

// Kernel facts: include/uapi/linux/netfilter/nfnetlink.h.
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFNL_SUBSYS_NFTABLES = 10;

/** The message that begins a transaction of nf_tables. */
export function batchBegin(sequence: number): Buffer {
  return batchEdge(NFNL_MSG_BATCH_BEGIN, sequence);
}

/** The message that ends a transaction of nf_tables, and has it committed. */
export const BATCH_END = batchEdge(NFNL_MSG_BATCH_END, 0);

/**
 * Numbers messages in place, the first as `first`, and asks for an acknowledgement of the last one. Returns the number
 * of the last one.
 */
export function numberMessages(messages: Buffer, first: number): number {
  let sequence = first;
  let last = 0;
  for (let at = 0; at < messages.length; at += messages.readUInt32LE(at)) {
    messages.writeUInt32LE(sequence, at + 8);
    sequence += 1;
    last = at;
  }
  messages.writeUInt16LE(messages.readUInt16LE(last + 6) | Flags.ACK, last + 6);
  return sequence - 1;
}

function batchEdge(type: number, sequence: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32LE(HEADER_BYTES, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(Flags.REQUEST, 6);
  bytes.writeUInt32LE(sequence, 8);
  // nfgenmsg's res_id, in network byte order, names the subsystem of the batch.
  bytes.writeUInt16BE(NFNL_SUBSYS_NFTABLES, HEADER_BYTES - 2);
  return bytes;
}
