import type { ElementTransaction } from '#core/model/nft/element-change.ts';
import { writeApplied, writeElements } from './encode-elements.ts';
import { writeChainContent } from './encode-rules.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { tableName } from './nftables-messages.ts';

/**
 * Changes elements, contents of chains and the mark of what is in force, all at once or not at all. An element that is
 * there already or one that is not there is refused: then somebody else has changed the set. Throws a NetfilterError;
 * a RangeError where one transaction cannot hold it, see {@link fitsTransaction}, or no set of that kind can.
 */
export async function applyElements(socket: NetfilterSocket, change: ElementTransaction): Promise<void> {
  const messages = encode(change);
  if (messages === undefined) throw new RangeError('the change is too big for one transaction');
  if (messages.length > 0) await socket.transact(messages);
}

/**
 * Whether {@link applyElements} can do it: some 15,000 IPv4 hosts, 4,000 IPv6 ranges, or one element each of 200 sets.
 * What is more is work for the program nft. Throws a RangeError for what no set or table of that kind can hold.
 */
export function fitsTransaction(change: ElementTransaction): boolean {
  return encode(change) !== undefined;
}

function encode({ table, changes, rules, applied }: ElementTransaction): Buffer | undefined {
  const name = tableName(table);
  const writer = new MessageWriter();
  for (const { set, key, interval, removed, added } of changes) {
    const target = { table: name, set, key, interval };
    // Deletions first: the kernel refuses an element that overlaps one which the same transaction removes later.
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
