import type { Element } from '#core/model/nft/element-change.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { type ElementSet, writeElementMessage } from './encode-elements.ts';
import { tableName } from './nftables-messages.ts';

/** The size at which a transaction ends: some 4,000 elements, which block the process for a few milliseconds. */
const PORTION_BYTES = 60_000;

/**
 * Adds elements to a set or verdict map that nothing refers to yet, in several transactions, between which other work of
 * the process runs. Throws a NetfilterError, after which any part of the elements may be in the set.
 */
export async function fillSet(socket: NetfilterSocket, set: ElementSet, elements: readonly Element[]): Promise<void> {
  const target = { ...set, table: tableName(set.table) };
  const writer = new MessageWriter();
  let next = 0;
  while (next < elements.length) {
    while (next < elements.length && writer.messages.length < PORTION_BYTES) {
      next = writeElementMessage(writer, 'add', target, { elements, next });
    }
    await socket.transact(writer.messages);
    writer.clear();
  }
}
