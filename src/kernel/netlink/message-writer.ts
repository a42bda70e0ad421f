// Kernel facts: include/uapi/linux/netlink.h, linux/netfilter/nfnetlink.h. Headers are in the host's order of bytes,
// which is little-endian on all architectures that the netlink package is built for; values of netfilter's attributes
// are in the network's.
const NETLINK_HEADER_BYTES = 16;

/** The length of netfilter's header, nfgenmsg, which stands between netlink's header and the attributes. */
export const NETFILTER_HEADER_BYTES = 4;

const ATTRIBUTE_HEADER_BYTES = 4;
const NLM_F_REQUEST = 1;
const NLA_F_NESTED = 0x8000;

/** What every message begins with: netlink's header and netfilter's. */
export const HEADER_BYTES = NETLINK_HEADER_BYTES + NETFILTER_HEADER_BYTES;

/**
 * A message does not grow beyond this. A nest of attributes has a length of 16 bits; and a refused message comes back
 * whole, in memory that the kernel rounds up to a power of two.
 */
export const LARGEST_MESSAGE_BYTES = 30 * 1024;

/**
 * One sendmsg does not grow beyond this. A socket that asks for the most that a kernel grants by default, wmem_max of
 * 212,992, is granted twice that, and netlink_sendmsg refuses what is longer less 32: 425,952 bytes, measured.
 */
const LARGEST_BATCH_BYTES = 288 * 1024;

/** What the answers may take of a receive buffer of 425,984 bytes if the kernel refuses every message; see {@link answerBytes}. */
const MOST_ANSWER_BYTES = 312 * 1024;

const ANSWER_HEADER_BYTES = 36 + 320;
const SMALLEST_ANSWER_BYTES = 1024;
const ANSWER_BUFFER_BYTES = 256;
const FIRST_BUFFER_BYTES = 1024;

/** What begins a message. */
export interface MessageStart {
  /** The subsystem in the high byte, what it is to do in the low one. */
  readonly type: number;
  /** Beside NLM_F_REQUEST, which all have. */
  readonly flags: number;
  readonly family: number;
  /** Of what the subsystem has several of, such as groups of the packet log, which one. */
  readonly resource?: number;
}

/** Writes messages one behind the other into one buffer, which grows to what one sendmsg may hold. */
export class MessageWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BUFFER_BYTES);
  #end = 0;
  #messageStart = 0;
  #answerBytes = 0;

  /** The messages; what is written later does not change them, what is written after `clear` does. */
  get messages(): Buffer {
    return this.#buffer.subarray(0, this.#end);
  }

  /** The bytes written of the message begun last. */
  get messageBytes(): number {
    return this.#end - this.#messageStart;
  }

  /**
   * Whether what was written is still bounded. INVARIANT: the answers to what is sent at once fit the receive buffer,
   * every message refused. The netlink package aborts the process when its socket overflows.
   */
  get fits(): boolean {
    return this.#end <= LARGEST_BATCH_BYTES && this.#answerBytes <= MOST_ANSWER_BYTES;
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

  /** Begins an attribute that holds attributes; returns what `endNest` wants. */
  beginNest(type: number): number {
    const at = this.reserve(ATTRIBUTE_HEADER_BYTES);
    this.#buffer.writeUInt16LE(type | NLA_F_NESTED, at + 2);
    return at;
  }

  endNest(nest: number): void {
    this.#buffer.writeUInt16LE(this.#end - nest, nest);
  }

  /** An attribute that is a number of 32 bits in the network's order. */
  number(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#buffer.writeUInt32BE(value >>> 0, at);
  }

  /** An attribute that is a text with a zero byte at its end. */
  text(type: number, text: string): void {
    const length = Buffer.byteLength(text);
    const at = this.#attribute(type, length + 1);
    this.#buffer.write(text, at);
    this.#buffer[at + length] = 0;
  }

  /** An attribute that is these bytes. */
  bytes(type: number, bytes: Uint8Array): void {
    // The buffer is another one if it had to grow, so room is made first.
    const at = this.#attribute(type, bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Bytes as they are: attributes that were read or written before. A multiple of 4. */
  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Makes room for so many bytes, a multiple of 4, to be written to `buffer`; returns where. */
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

  /** What `reserve` gives room in, until it is called again. */
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
 * What the kernel counts at most against the receive buffer for the refusal of a message: the message whole behind
 * headers (netlink_ack), in memory that __alloc_skb rounds up to a power of two, and the books kept of it. Measured on
 * 6.18: 832 bytes for a message of 72, 2,304 for one of 700, 33,024 for one of 30 KiB.
 */
function answerBytes(messageBytes: number): number {
  const rounded = 2 ** Math.ceil(Math.log2(messageBytes + ANSWER_HEADER_BYTES));
  return Math.max(rounded, SMALLEST_ANSWER_BYTES) + ANSWER_BUFFER_BYTES;
}
