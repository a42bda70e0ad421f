import { type Family, highestAddress } from '#core/model/net/address.ts';
import type { AppliedMark, Element } from '#core/model/nft/element-change.ts';
import type { SimpleVerdict } from '#core/model/nft/ruleset.ts';
import { MAX_MESSAGE_BYTES, MessageWriter } from '#kernel/netlink/message-writer.ts';
import {
  FLAGS_NEW,
  NFPROTO_INET,
  NFT_MSG_DELSETELEM,
  NFT_MSG_NEWSETELEM,
  NFT_SET_ELEM_INTERVAL_END,
  NFTA_DATA_VALUE,
  NFTA_DATA_VERDICT,
  NFTA_LIST_ELEM,
  NFTA_SET_ELEM_DATA,
  NFTA_SET_ELEM_FLAGS,
  NFTA_SET_ELEM_KEY,
  NFTA_SET_ELEM_LIST_ELEMENTS,
  NFTA_SET_ELEM_LIST_SET,
  NFTA_SET_ELEM_LIST_TABLE,
  NFTA_SET_ELEM_USERDATA,
  NFTA_VERDICT_CHAIN,
  NFTA_VERDICT_CODE,
  nftables,
} from './nftables-messages.ts';

// The messages are those that nft 1.0.6 sends (`nft --debug=mnl`).
const VERDICT_CODES = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;

// An attribute header in memory is the length, then the type; in little-endian order they are one number.
const NESTED = 0x8000;
const NESTED_ELEMENT = ((NESTED | NFTA_LIST_ELEM) << 16) | 0;
const NESTED_KEY = ((NESTED | NFTA_SET_ELEM_KEY) << 16) | 0;
const VALUE = NFTA_DATA_VALUE << 16;
const FLAGS = NFTA_SET_ELEM_FLAGS << 16;

/**
 * The userdata by which nft knows that a range has no end element because it reaches the highest address
 * (NFTNL_UDATA_SET_ELEM_FLAGS, SET_ELEM_F_INTERVAL_OPEN in the host's order): attribute header, type, length, value.
 */
const OPEN_END = Buffer.from([10, 0, NFTA_SET_ELEM_USERDATA, 0, 1, 4, 1, 0, 0, 0, 0, 0]);
const NO_BYTES = Buffer.alloc(0);

/** NFTNL_UDATA_SET_ELEM_COMMENT. nft takes comments of at most 128 bytes, the zero byte at the end included. */
const COMMENT = 0;
const MAX_COMMENT_BYTES = 127;

/** The set or verdict map of elements. */
export interface ElementSet {
  readonly table: string;
  readonly set: string;
  readonly key: Family;
  readonly interval: boolean;
}

/** Writes the messages that add elements to a set or delete them, until nothing more fits. Throws a RangeError for a range in a set without ranges. */
export function writeElements(
  writer: MessageWriter,
  act: 'add' | 'delete',
  set: ElementSet,
  elements: readonly Element[],
): void {
  let next = 0;
  while (next < elements.length && writer.fits) next = writeElementMessage(writer, act, set, { elements, next });
}

/** Elements to write from the index `next` on. */
export interface Remaining {
  readonly elements: readonly Element[];
  readonly next: number;
}

/** Writes one message with as many of the remaining elements as fit; returns the index of the first that did not. */
export function writeElementMessage(
  writer: MessageWriter,
  act: 'add' | 'delete',
  { table, set, key, interval }: ElementSet,
  { elements, next }: Remaining,
): number {
  const list = beginElements(writer, act, table, set);
  const verdicts = new Map<string, Buffer>();
  const highest = highestAddress(key);
  let at = next;
  for (; at < elements.length && writer.messageBytes < MAX_MESSAGE_BYTES - MAX_ELEMENT_BYTES; at += 1) {
    const element = elements[at] as Element;
    const { from, to } = element.interval;
    const data = act === 'add' && element.verdict !== undefined ? verdictOf(element.verdict, verdicts) : NO_BYTES;
    if (!interval) {
      if (from !== to) throw new RangeError(`set ${set} holds single addresses`);
      writeKey(writer, key, from, data);
    } else if (to === highest) {
      writeKey(writer, key, from, data, OPEN_END);
    } else {
      writeKey(writer, key, from, data);
      writeEndKey(writer, key, to + 1n);
    }
  }
  endElements(writer, list);
  return at;
}

/** Writes that the marker of what is in force has just one element, with this comment. Throws a RangeError if it is too long. */
export function writeApplied(writer: MessageWriter, table: string, { set, comment }: AppliedMark): void {
  const length = Buffer.byteLength(comment);
  if (length > MAX_COMMENT_BYTES) throw new RangeError(`a comment of ${length} bytes`);
  writer.beginMessage({ type: nftables(NFT_MSG_DELSETELEM), flags: 0, family: NFPROTO_INET });
  writer.text(NFTA_SET_ELEM_LIST_TABLE, table);
  writer.text(NFTA_SET_ELEM_LIST_SET, set);
  writer.endMessage();
  const list = beginElements(writer, 'add', table, set);
  const element = writer.beginNest(NFTA_LIST_ELEM);
  const key = writer.beginNest(NFTA_SET_ELEM_KEY);
  // A mark is a number in host byte order.
  writer.bytes(NFTA_DATA_VALUE, Buffer.from([1, 0, 0, 0]));
  writer.endNest(key);
  writer.bytes(NFTA_SET_ELEM_USERDATA, Buffer.from(`${String.fromCharCode(COMMENT, length + 1)}${comment}\0`));
  writer.endNest(element);
  endElements(writer, list);
}

/** Begins a message of elements; returns the argument for `endElements`. */
function beginElements(writer: MessageWriter, act: 'add' | 'delete', table: string, set: string): number {
  // Adding an existing element must fail: an element that the caller does not know of is another process's change.
  if (act === 'add') {
    const flags = FLAGS_NEW.create | FLAGS_NEW.exclusive;
    writer.beginMessage({ type: nftables(NFT_MSG_NEWSETELEM), flags, family: NFPROTO_INET });
  } else {
    writer.beginMessage({ type: nftables(NFT_MSG_DELSETELEM), flags: 0, family: NFPROTO_INET });
  }
  writer.text(NFTA_SET_ELEM_LIST_TABLE, table);
  writer.text(NFTA_SET_ELEM_LIST_SET, set);
  return writer.beginNest(NFTA_SET_ELEM_LIST_ELEMENTS);
}

function endElements(writer: MessageWriter, list: number): void {
  writer.endNest(list);
  writer.endMessage();
}

/** The two elements of a range, with a chain name of 255 bytes. */
const MAX_ELEMENT_BYTES = 512;

// The hot path: a million elements pass here, so headers are written as numbers, without allocations.
function writeKey(
  writer: MessageWriter,
  family: Family,
  value: bigint,
  data: Buffer,
  userdata: Buffer = NO_BYTES,
): void {
  const keyBytes = family === 'ipv4' ? 4 : 16;
  const length = 12 + keyBytes + data.length + userdata.length;
  const at = writer.reserve(length);
  const { buffer } = writer;
  buffer.writeInt32LE(NESTED_ELEMENT | length, at);
  writeKeyAttribute(buffer, at + 4, family, value);
  let end = at + 12 + keyBytes;
  if (data !== NO_BYTES) {
    buffer.set(data, end);
    end += data.length;
  }
  if (userdata !== NO_BYTES) buffer.set(userdata, end);
}

function writeEndKey(writer: MessageWriter, family: Family, value: bigint): void {
  const keyBytes = family === 'ipv4' ? 4 : 16;
  const length = 20 + keyBytes;
  const at = writer.reserve(length);
  const { buffer } = writer;
  buffer.writeInt32LE(NESTED_ELEMENT | length, at);
  buffer.writeInt32LE(FLAGS | 8, at + 4);
  buffer.writeInt32BE(NFT_SET_ELEM_INTERVAL_END, at + 8);
  writeKeyAttribute(buffer, at + 12, family, value);
}

function writeKeyAttribute(buffer: Buffer, at: number, family: Family, value: bigint): void {
  if (family === 'ipv4') {
    buffer.writeInt32LE(NESTED_KEY | 12, at);
    buffer.writeInt32LE(VALUE | 8, at + 4);
    buffer.writeUInt32BE(Number(value), at + 8);
  } else {
    buffer.writeInt32LE(NESTED_KEY | 24, at);
    buffer.writeInt32LE(VALUE | 20, at + 4);
    buffer.writeBigUInt64BE(value >> 64n, at + 8);
    buffer.writeBigUInt64BE(BigInt.asUintN(64, value), at + 16);
  }
}

/** The data attribute of an element, made once for each verdict. */
function verdictOf(verdict: SimpleVerdict, cache: Map<string, Buffer>): Buffer {
  const chain = 'chain' in verdict ? verdict.chain : '';
  const id = chain === '' ? verdict.kind : `${verdict.kind} ${chain}`;
  let bytes = cache.get(id);
  if (bytes === undefined) {
    const writer = new MessageWriter();
    const data = writer.beginNest(NFTA_SET_ELEM_DATA);
    const code = writer.beginNest(NFTA_DATA_VERDICT);
    writer.number(NFTA_VERDICT_CODE, VERDICT_CODES[verdict.kind]);
    if (chain !== '') writer.text(NFTA_VERDICT_CHAIN, chain);
    writer.endNest(code);
    writer.endNest(data);
    bytes = writer.messages;
    cache.set(id, bytes);
  }
  return bytes;
}
