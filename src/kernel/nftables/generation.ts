import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { messageAttributes } from '#kernel/netlink/netlink-attributes.ts';
import { NFT_MSG_GETGEN, NFTA_GEN_ID, nftables } from './nftables-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h.

/** Reads the generation, a number that every transaction on any table of the network namespace changes. Throws a NetfilterError. */
export async function readGeneration(socket: NetfilterSocket): Promise<number> {
  let id = 0;
  await socket.get(generationQuestion(), ({ data }) => {
    id = generationIn(data) ?? id;
  });
  return id;
}

/** The message that asks for the generation. */
export function generationQuestion(): Buffer {
  const writer = new MessageWriter();
  writer.beginMessage({ type: nftables(NFT_MSG_GETGEN), flags: 0, family: 0 });
  writer.endMessage();
  return writer.messages;
}

/** The generation in the kernel's answer, which is a netfilter header and attributes; undefined if there is none. */
export function generationIn(data: Buffer): number | undefined {
  for (const { type, value } of messageAttributes(data))
    if (type === NFTA_GEN_ID && value.length === 4) return value.readUInt32BE(0);
  return undefined;
}
