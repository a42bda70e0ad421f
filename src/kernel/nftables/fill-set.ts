import type { Element } from '#core/model/nft/element-change.ts';
import { type ElementSet, writeElementMessage } from './encode-elements.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { tableName } from './nftables-messages.ts';

/** A transaction is ended at this size: some 4,000 elements, which the kernel takes within a few milliseconds, and they block the process. */
const ENOUGH_BYTES = 60_000;

/**
 * Adds elements to a set or verdict map that nothing refers to yet: in several transactions, between which other work
 * of the process goes on. Throws a NetfilterError; then any part of the elements may be in the set.
 */
export async function fillSet(socket: NetfilterSocket, set: ElementSet, elements: readonly Element[]): Promise<void> {
  const target = { ...set, table: tableName(set.table) };
  const writer = new MessageWriter();
  let next = 0;
  while (next < elements.length) {
    while (next < elements.length && writer.messages.length < ENOUGH_BYTES) {
      next = writeElementMessage(writer, 'add', target, { elements, next });
    }
    await socket.transact(writer.messages);
    writer.clear();
  }
}
