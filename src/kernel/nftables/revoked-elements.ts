import { FAMILIES, type Family } from '#core/model/net/address.ts';
import { revokedSet } from '#core/model/nft/revoked-flows.ts';
import { type FlowKey, familyOfFlow } from '#core/model/packet/flow-key.ts';
import { NetfilterError } from '#kernel/errors.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { messageAttributes, netlinkAttributes } from '#kernel/netlink/netlink-attributes.ts';
import {
  FLAGS_NEW,
  NFPROTO_INET,
  NFT_MSG_DELSETELEM,
  NFT_MSG_GETSETELEM,
  NFT_MSG_NEWSETELEM,
  NFTA_DATA_VALUE,
  NFTA_LIST_ELEM,
  NFTA_SET_ELEM_KEY,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_TABLE,
  nftables,
  tableName,
} from './nftables-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h.

/** Elements per transaction, which block the process for a few milliseconds. */
export const REVOKED_PORTION = 1_000;

/** A nest of attributes has a 16-bit length, and an IPv6 element takes 56 bytes. */
const MAX_ELEMENTS_PER_MESSAGE = 500;

/** One transaction on the sets of revoked flows. */
export interface RevokedChange {
  /** Each must be in its set. Those that are also in `added` start their timeout again. */
  readonly removed: readonly FlowKey[];
  readonly added: readonly FlowKey[];
}

/** Changes the sets of revoked flows in one transaction of at most {@link REVOKED_PORTION} flows of each kind. Throws a NetfilterError. */
export async function writeRevoked(socket: NetfilterSocket, table: string, change: RevokedChange): Promise<void> {
  const writer = new MessageWriter();
  const name = tableName(table);
  for (const family of FAMILIES) {
    // Deletions come first, so that a renewed element is gone when it is added.
    writeElements(writer, { name, family, act: NFT_MSG_DELSETELEM, flags: 0 }, change.removed);
    writeElements(writer, { name, family, act: NFT_MSG_NEWSETELEM, flags: FLAGS_NEW.create }, change.added);
  }
  if (writer.messages.length > 0) await socket.transact(writer.messages);
}

interface Act {
  readonly name: string;
  readonly family: Family;
  readonly act: number;
  readonly flags: number;
}

function writeElements(writer: MessageWriter, { name, family, act, flags }: Act, flows: readonly FlowKey[]): void {
  const ofFamily = flows.filter((key) => familyOfFlow(key) === family);
  for (let next = 0; next < ofFamily.length; next += MAX_ELEMENTS_PER_MESSAGE) {
    writer.beginMessage({ type: nftables(act), flags, family: NFPROTO_INET });
    writer.text(NFTA_SET_ELEM_LIST_TABLE, name);
    writer.text(NFTA_SET_ELEM_LIST_SET, revokedSet(family));
    const list = writer.beginNest(NFTA_SET_ELEM_LIST_ELEMENTS);
    for (const key of ofFamily.slice(next, next + MAX_ELEMENTS_PER_MESSAGE)) {
      const element = writer.beginNest(NFTA_LIST_ELEM);
      const value = writer.beginNest(NFTA_SET_ELEM_KEY);
      writer.bytes(NFTA_DATA_VALUE, Buffer.from(key, 'latin1'));
      writer.endNest(value);
      writer.endNest(element);
    }
    writer.endNest(list);
    writer.endMessage();
  }
}

/** Reads the flows that the kernel remembers as revoked; none if our table does not exist. Throws a NetfilterError. */
export async function readRevoked(socket: NetfilterSocket, table: string): Promise<readonly FlowKey[]> {
  const flows: FlowKey[] = [];
  const name = tableName(table);
  for (const family of FAMILIES) {
    const attributes = (writer: MessageWriter): void => {
      writer.text(NFTA_SET_ELEM_LIST_TABLE, name);
      writer.text(NFTA_SET_ELEM_LIST_SET, revokedSet(family));
    };
    try {
      await socket.dump({ type: nftables(NFT_MSG_GETSETELEM), family: NFPROTO_INET, attributes }, ({ data }) => {
        for (const { type, value } of messageAttributes(data))
          if (type === NFTA_SET_ELEM_LIST_ELEMENTS)
            for (const { value: element } of netlinkAttributes(value)) flows.push(...keysIn(element));
      });
    } catch (error) {
      if (!(error instanceof NetfilterError && error.errno === 'ENOENT')) throw error;
    }
  }
  return flows;
}

function* keysIn(element: Buffer): Generator<FlowKey> {
  for (const { type, value } of netlinkAttributes(element)) {
    if (type !== NFTA_SET_ELEM_KEY) continue;
    for (const data of netlinkAttributes(value))
      if (data.type === NFTA_DATA_VALUE) yield data.value.toString('latin1') as FlowKey;
  }
}
