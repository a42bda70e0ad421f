import { NETFILTER_HEADER_BYTES } from './message-writer.ts';

/** An attribute of a netlink message: its type without flags, its offset, its value, and the offset of the next attribute. */
export interface NetlinkAttribute {
  readonly type: number;
  readonly start: number;
  readonly value: Buffer;
  readonly next: number;
}

const HEADER_BYTES = 4;
const TYPE_MASK = 0x3fff;

/** The attributes in `bytes` from `start` on; stops at one that does not fit. Kernel facts: include/uapi/linux/netlink.h. */
export function* netlinkAttributes(bytes: Buffer, start = 0): Generator<NetlinkAttribute> {
  let at = start;
  while (at + HEADER_BYTES <= bytes.length) {
    const length = bytes.readUInt16LE(at);
    const next = at + ((length + 3) & ~3);
    if (length < HEADER_BYTES || at + length > bytes.length) return;
    const type = bytes.readUInt16LE(at + 2) & TYPE_MASK;
    yield { type, start: at, value: bytes.subarray(at + HEADER_BYTES, at + length), next };
    at = next;
  }
}

/** The attributes of a netfilter message, which begin behind netfilter's header. */
export function messageAttributes(data: Buffer): Generator<NetlinkAttribute> {
  return netlinkAttributes(data, NETFILTER_HEADER_BYTES);
}

/** The value of an attribute that is a zero-terminated text. */
export function attributeText(value: Buffer): string {
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}
