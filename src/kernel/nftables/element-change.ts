import type { ElementTransaction } from '#core/model/nft/element-change.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { writeApplied, writeElements } from './encode-elements.ts';
import { writeChainContent } from './encode-rules.ts';
import { tableName } from './nftables-messages.ts';

/**
 * Changes elements, the content of chains and the marker of what is in force, all or nothing. Adding an element that exists
 * or deleting one that does not is refused: another process has changed the set. Throws a NetfilterError, and a RangeError
 * for a change that is too big for one transaction (see {@link fitsTransaction}) or impossible for a set of that kind.
 */
export async function applyElements(socket: NetfilterSocket, change: ElementTransaction): Promise<void> {
  const messages = encode(change);
  if (messages === undefined) throw new RangeError('the change is too big for one transaction');
  if (messages.length > 0) await socket.transact(messages);
}

/**
 * Whether {@link applyElements} can apply a change: some 15,000 IPv4 hosts, 4,000 IPv6 ranges, or one element each of 200
 * sets. nft applies bigger ones. Throws a RangeError for a change that is impossible for a set or table of that kind.
 */
export function fitsTransaction(change: ElementTransaction): boolean {
  return encode(change) !== undefined;
}

function encode({ table, changes, rules, applied }: ElementTransaction): Buffer | undefined {
  const name = tableName(table);
  const writer = new MessageWriter();
  for (const { set, key, interval, removed, added } of changes) {
    const target = { table: name, set, key, interval };
    // Deletions come first: the kernel refuses an element that overlaps one deleted later in the transaction.
    writeElements(writer, 'delete', target, removed);
    writeElements(writer, 'add', target, added);
    if (!writer.fits) return undefined;
  }
  for (const content of rules) {
    writeChainContent(writer, name, content);
    if (!writer.fits) return undefined;
  }
  if (applied !== undefined) writeApplied(writer, name, applied);
  return writer.fits ? writer.messages : undefined;
}
