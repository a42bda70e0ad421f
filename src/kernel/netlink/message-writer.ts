// Kernel facts: include/uapi/linux/netlink.h, linux/netfilter/nfnetlink.h. Headers are in host byte order, which is
// little-endian on all architectures that the netlink package is built for; values of netfilter's attributes are in
// network byte order.
const NETLINK_HEADER_BYTES = 16;

/** The length of netfilter's header, nfgenmsg, which stands between netlink's header and the attributes. */
export const NETFILTER_HEADER_BYTES = 4;

const ATTRIBUTE_HEADER_BYTES = 4;
const NLM_F_REQUEST = 1;
const NLA_F_NESTED = 0x8000;

/** The length of the two headers of every message: netlink's and netfilter's. */
export const HEADER_BYTES = NETLINK_HEADER_BYTES + NETFILTER_HEADER_BYTES;

/**
 * The size limit of a message. A nest of attributes has a 16-bit length, and a refused message comes back whole, in memory
 * that the kernel rounds up to a power of two.
 */
export const MAX_MESSAGE_BYTES = 30 * 1024;

/**
 * The size limit of one sendmsg. A socket that asks for the kernel's default maximum, wmem_max of 212,992 bytes, gets twice
 * that, and netlink_sendmsg refuses more than this less 32: 425,952 bytes, measured.
 */
const MAX_BATCH_BYTES = 288 * 1024;

/** How much of a receive buffer of 425,984 bytes the answers may take if the kernel refuses every message; see {@link answerBytes}. */
const MAX_ANSWER_BYTES = 312 * 1024;

const ANSWER_HEADER_BYTES = 36 + 320;
const MIN_ANSWER_BYTES = 1024;
const ANSWER_BUFFER_BYTES = 256;
const INITIAL_BUFFER_BYTES = 1024;

/** The beginning of a message. */
export interface MessageStart {
  /** The subsystem in the high byte, the operation in the low one. */
  readonly type: number;
  /** Flags in addition to NLM_F_REQUEST, which all messages have. */
  readonly flags: number;
  readonly family: number;
  /** The resource of the subsystem, such as a group of the packet log. */
  readonly resource?: number;
}

/** Writes messages one after another into one buffer, which grows to the size of one sendmsg. */
export class MessageWriter {
  #buffer = Buffer.allocUnsafe(INITIAL_BUFFER_BYTES);
  #end = 0;
  #messageStart = 0;
  #answerBytes = 0;

  /** The messages; later messages do not change them, messages after `clear` do. */
  get messages(): Buffer {
    return this.#buffer.subarray(0, this.#end);
  }

  /** The bytes written so far of the last message. */
  get messageBytes(): number {
    return this.#end - this.#messageStart;
  }

  /**
   * Whether the messages can be sent at once. INVARIANT: the answers fit the receive buffer even if every message is
   * refused. The netlink package aborts the process when its socket overflows.
   */
  get fits(): boolean {
    return this.#end <= MAX_BATCH_BYTES && this.#answerBytes <= MAX_ANSWER_BYTES;
  }

  /** Forgets all messages. */
  clear(): void {
    this.#end = 0;
    this.#answerBytes = 0;
  }

  /** Begins a message, which `endMessage` ends. */
  beginMessage({ type, flags, family, resource = 0 }: MessageStart): void {
    const at = this.reserve(HEADER_BYTES);
    this.#messageStart = at;
    const buffer = this.#buffer;
    buffer.fill(0, at, at + HEADER_BYTES);
    buffer.writeUInt16LE(type, at + 4);
    buffer.writeUInt16LE(flags | NLM_F_REQUEST, at + 6);
    buffer[at + NETLINK_HEADER_BYTES] = family;
    buffer.writeUInt16BE(resource, at + NETLINK_HEADER_BYTES + 2);
  }

  endMessage(): void {
    this.#buffer.writeUInt32LE(this.messageBytes, this.#messageStart);
    this.#answerBytes += answerBytes(this.messageBytes);
  }

  /** Begins an attribute that contains attributes; returns the argument for `endNest`. */
  beginNest(type: number): number {
    const at = this.reserve(ATTRIBUTE_HEADER_BYTES);
    this.#buffer.writeUInt16LE(type | NLA_F_NESTED, at + 2);
    return at;
  }

  endNest(nest: number): void {
    this.#buffer.writeUInt16LE(this.#end - nest, nest);
  }

  /** Writes an attribute that is a 32-bit number in network byte order. */
  number(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#buffer.writeUInt32BE(value >>> 0, at);
  }

  /** Writes an attribute that is a zero-terminated text. */
  text(type: number, text: string): void {
    const length = Buffer.byteLength(text);
    const at = this.#attribute(type, length + 1);
    this.#buffer.write(text, at);
    this.#buffer[at + length] = 0;
  }

  /** Writes an attribute that is these bytes. */
  bytes(type: number, bytes: Uint8Array): void {
    // Room is made first, since the buffer is replaced when it grows.
    const at = this.#attribute(type, bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Writes bytes as they are, such as attributes that were read before. Their number is a multiple of 4. */
  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Makes room in `buffer` for `bytes` bytes, a multiple of 4; returns the offset. */
  reserve(bytes: number): number {
    const at = this.#end;
    this.#end += bytes;
    if (this.#end > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#end, this.#buffer.length * 2));
      grown.set(this.#buffer.subarray(0, at));
      this.#buffer = grown;
    }
    return at;
  }

  /** The buffer that `reserve` makes room in, until it is called again. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  #attribute(type: number, length: number): number {
    const padded = (length + 3) & ~3;
    const at = this.reserve(ATTRIBUTE_HEADER_BYTES + padded);
    const buffer = this.#buffer;
    buffer.writeUInt16LE(ATTRIBUTE_HEADER_BYTES + length, at);
    buffer.writeUInt16LE(type, at + 2);
    buffer.fill(0, at + ATTRIBUTE_HEADER_BYTES + length, this.#end);
    return at + ATTRIBUTE_HEADER_BYTES;
  }
}

/**
 * The most that the kernel counts against the receive buffer for the refusal of a message: the whole message behind
 * headers (netlink_ack), in memory that __alloc_skb rounds up to a power of two, and its bookkeeping. Measured on
 * 6.18: 832 bytes for a message of 72, 2,304 for one of 700, 33,024 for one of 30 KiB.
 */
function answerBytes(messageBytes: number): number {
  const rounded = 2 ** Math.ceil(Math.log2(messageBytes + ANSWER_HEADER_BYTES));
  return Math.max(rounded, MIN_ANSWER_BYTES) + ANSWER_BUFFER_BYTES;
}
