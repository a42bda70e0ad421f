// Not the package's index, which loads all its families: 45 ms of start-up where these files take 8.
import { FlagsGet, Flags, MessageType, Protocol } from 'netlink/dist/constants.js';
import { RawNetlinkSocket } from 'netlink/dist/raw.js';
import { type NetlinkMessage, parseError, parseMessages } from 'netlink/dist/structs.js';
import { HEADER_BYTES, MessageWriter } from './message-writer.ts';
import { NetfilterError, refusalOf } from '#kernel/errors.ts';

// Kernel facts: include/uapi/linux/netfilter/nfnetlink.h.
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFNL_SUBSYS_NFTABLES = 10;

/**
 * What a kernel grants by default, rmem_max and wmem_max; it then takes twice that. No more is asked for where more
 * would be granted, so that what fits on one host fits on all.
 */
const BUFFER_BYTES = 212_992;
const LEAST_GRANTED_BYTES = 2 * BUFFER_BYTES;
const LAST_SEQUENCE = 0xf000_0000;
/** From where the kernel's messages come. */
export const KERNEL_PORT = 0;

/** How a socket is used. */
export interface SocketOptions {
  /** How long the kernel may take to answer, or to go on with an answer; it does within sendmsg, or something is wrong. */
  readonly timeoutMilliseconds?: number;
}

/** A refused message of a number of independent ones: its place among them, and the kernel's errno, negative. */
export interface Refusal {
  readonly index: number;
  readonly errno: number;
}

/** A question that is answered in many messages. */
export interface DumpRequest {
  readonly type: number;
  readonly family: number;
  /** Writes what narrows the question. */
  readonly attributes?: (writer: MessageWriter) => void;
}

interface Exchange {
  readonly kind: 'transaction' | 'requests';
  /** The sequence number of the first message; a transaction's begin has the one before. */
  readonly first: number;
  readonly last: number;
  readonly refusals: Refusal[];
  /** What is answered beside acknowledgements. */
  readonly receive: ((message: NetlinkMessage) => void) | undefined;
  readonly resolve: (refusals: readonly Refusal[]) => void;
  readonly reject: (error: NetfilterError) => void;
}

/**
 * A socket to the kernel's netfilter, in the network namespace that the process was in when it was first used. It is
 * opened when needed and kept; after a failure of its own (`died`, `timeout`: nobody knows what was done) the next use
 * opens it anew. It does not keep the process alive.
 *
 * INVARIANT: the socket never overflows, for then the package aborts the process (it makes a text of a null pointer).
 * Hence one exchange at a time, each bounded by MessageWriter.fits, acknowledgement asked for the last message alone,
 * and dumps, which fill the receive buffer by design, on sockets of their own.
 */
export class NetfilterSocket {
  readonly #timeoutMilliseconds: number;
  #socket: RawNetlinkSocket | undefined;
  #exchange: Exchange | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #sequence = 0;

  constructor({ timeoutMilliseconds = 10_000 }: SocketOptions = {}) {
    this.#timeoutMilliseconds = timeoutMilliseconds;
  }

  /** Has nf_tables do all that the messages say, or nothing. Throws a NetfilterError. */
  async transact(messages: Buffer): Promise<void> {
    await this.#inTurn(async () => {
      const first = this.#number(messages);
      await this.#ask('transaction', first, [batchEdge(NFNL_MSG_BATCH_BEGIN, first - 1), messages, BATCH_END]);
    });
  }

  /** Throws the NetfilterError that `transact` would throw for the messages, and does nothing of what they say. */
  async rehearse(messages: Buffer): Promise<void> {
    await this.#inTurn(async () => {
      const first = this.#number(messages);
      // A batch without an end is validated and taken back (nfnetlink_rcv_batch): so does `nft --check`.
      await this.#ask('transaction', first, [batchEdge(NFNL_MSG_BATCH_BEGIN, first - 1), messages]);
    });
  }

  /** Sends messages that are independent of each other and returns which were refused. Throws a NetfilterError. */
  async request(messages: Buffer): Promise<readonly Refusal[]> {
    return this.#inTurn(async () => this.#ask('requests', this.#number(messages), [messages]));
  }

  /** Sends one question and hands `receive` what answers it, in one message or a few. Throws a NetfilterError. */
  async get(question: Buffer, receive: (message: NetlinkMessage) => void): Promise<void> {
    const [refusal] = await this.#inTurn(async () =>
      this.#ask('requests', this.#number(question), [question], receive),
    );
    if (refusal !== undefined) throw refusalOf(refusal.errno, undefined);
  }

  /** Hands `receive` the messages that answer a dump, as they come. Throws a NetfilterError, and what `receive` throws. */
  async dump({ type, family, attributes }: DumpRequest, receive: (message: NetlinkMessage) => void): Promise<void> {
    const socket = openSocket();
    let timer: NodeJS.Timeout | undefined;
    const writer = new MessageWriter();
    writer.beginMessage({ type, flags: FlagsGet.DUMP, family });
    attributes?.(writer);
    writer.endMessage();
    return new Promise<void>((resolve, reject) => {
      timer = this.#startTimer(reject);
      socket.on('error', (cause) => reject(lost(cause)));
      socket.on('truncatedMessage', () => reject(lost('answer truncated')));
      // INVARIANT: nothing throws out of this listener; the native caller does not expect it.
      socket.on('message', (bytes, { port }) => {
        if (port !== KERNEL_PORT) return;
        timer?.refresh();
        try {
          for (const message of parseMessages(bytes)) {
            if (message.type === MessageType.OVERRUN) return reject(lost('data lost'));
            if (message.type === MessageType.DONE || message.type === MessageType.ERROR) {
              const errno = message.data.length < 4 ? 0 : message.data.readInt32LE(0);
              return errno < 0 ? reject(refusalOf(errno, undefined)) : resolve();
            }
            receive(message);
          }
        } catch (error) {
          reject(error instanceof Error ? error : lost(error));
        }
      });
      socket.send(writer.messages, {}, (error) => {
        if (error !== undefined) reject(lost(error));
      });
    }).finally(() => {
      clearTimeout(timer);
      closeLater(socket);
    });
  }

  /** Closes the socket; whoever waits for an answer is told that nobody knows what was done. */
  close(): void {
    this.#drop(lost('closed'));
  }

  async #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(act);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Numbers the messages and asks for an acknowledgement of the last; returns the first's number. */
  #number(messages: Buffer): number {
    // Each number is used once, lest an answer that comes late is taken for another's.
    if (this.#sequence > LAST_SEQUENCE) this.#sequence = 0;
    this.#sequence += 2;
    const first = this.#sequence;
    let last = 0;
    for (let at = 0; at < messages.length; at += messages.readUInt32LE(at)) {
      messages.writeUInt32LE(this.#sequence, at + 8);
      this.#sequence += 1;
      last = at;
    }
    messages.writeUInt16LE(messages.readUInt16LE(last + 6) | Flags.ACK, last + 6);
    return first;
  }

  async #ask(
    kind: Exchange['kind'],
    first: number,
    parts: readonly Buffer[],
    receive?: Exchange['receive'],
  ): Promise<readonly Refusal[]> {
    const socket = this.#opened();
    let timer: NodeJS.Timeout | undefined;
    socket.ref();
    return new Promise<readonly Refusal[]>((resolve, reject) => {
      this.#exchange = { kind, first, last: this.#sequence - 1, refusals: [], receive, resolve, reject };
      timer = this.#startTimer((error) => this.#drop(error));
      // Nothing that sendmsg itself refuses has reached netfilter.
      socket.send([...parts], {}, (error) => {
        if (error !== undefined) reject(new NetfilterError('refused', error.message, { cause: error }));
      });
    }).finally(() => {
      clearTimeout(timer);
      this.#exchange = undefined;
      if (this.#socket === socket) socket.unref();
    });
  }

  #startTimer(expire: (error: NetfilterError) => void): NodeJS.Timeout {
    const error = new NetfilterError('timeout', 'the kernel did not answer in time');
    // An answer that is there by then still counts: it is read after timers and before immediates.
    return setTimeout(() => setImmediate(expire, error), this.#timeoutMilliseconds);
  }

  #opened(): RawNetlinkSocket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = openSocket();
    this.#socket = socket;
    const fail = (cause: unknown): void => {
      if (this.#socket === socket) this.#drop(lost(cause));
    };
    socket.on('error', fail);
    socket.on('truncatedMessage', () => fail('answer truncated'));
    // INVARIANT: nothing throws out of this listener; the native caller does not expect it.
    socket.on('message', (bytes, { port }) => {
      if (port !== KERNEL_PORT || this.#socket !== socket) return;
      try {
        for (const message of parseMessages(bytes)) this.#receive(message);
      } catch (cause) {
        fail(cause);
      }
    });
    return socket;
  }

  #receive(message: NetlinkMessage): void {
    const { type, seq, data, flags } = message;
    const exchange = this.#exchange;
    if (type === MessageType.OVERRUN) return this.#drop(lost('data lost'));
    if (exchange === undefined || seq < exchange.first - 1 || seq > exchange.last) return;
    if (type !== MessageType.ERROR) return exchange.receive?.(message);
    const { errno } = parseError(data, flags);
    const index = seq - exchange.first;
    // Of a transaction, errors are delivered in the order of its messages, and before the acknowledgement of the last
    // one; an error of the commit comes first of all, as the begin's (nfnetlink_rcv_batch, nfnl_err_deliver).
    if (errno !== 0 && (exchange.kind === 'transaction' || index < 0)) {
      return exchange.reject(refusalOf(errno, index < 0 ? undefined : index));
    }
    if (errno !== 0) exchange.refusals.push({ index, errno });
    if (seq === exchange.last) exchange.resolve(exchange.refusals);
  }

  #drop(error: NetfilterError): void {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket !== undefined) closeLater(socket);
    this.#exchange?.reject(error);
  }
}

/** A netlink socket to netfilter. Throws a NetfilterError. */
export function openSocket(): RawNetlinkSocket {
  let socket: RawNetlinkSocket;
  try {
    socket = new RawNetlinkSocket(Protocol.NETFILTER, {
      // The package's own choice is pid-based and clashes between containers that share a network namespace.
      localPort: 0,
      recvBufferSize: BUFFER_BYTES,
      sendBufferSize: BUFFER_BYTES,
    });
  } catch (cause) {
    throw new NetfilterError('missing', `cannot open a netfilter socket: ${textOf(cause)}`, { cause });
  }
  const granted = Math.min(socket.getRecvBufferSize(), socket.getSendBufferSize());
  if (granted >= LEAST_GRANTED_BYTES) return socket;
  socket.close();
  throw new NetfilterError('missing', `net.core.rmem_max and wmem_max are below ${BUFFER_BYTES}`);
}

/** Not from within a callback of the socket: the native half still uses its poll handle after the callback. */
export function closeLater(socket: RawNetlinkSocket): void {
  setImmediate(() => socket.close());
}

function batchEdge(type: number, sequence: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt32LE(HEADER_BYTES, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(Flags.REQUEST, 6);
  bytes.writeUInt32LE(sequence, 8);
  // nfgenmsg's res_id, in the network's order, says whose batch it is.
  bytes.writeUInt16BE(NFNL_SUBSYS_NFTABLES, HEADER_BYTES - 2);
  return bytes;
}

const BATCH_END = batchEdge(NFNL_MSG_BATCH_END, 0);

function lost(cause: unknown): NetfilterError {
  return new NetfilterError('died', `the netfilter socket failed: ${textOf(cause)}`, { cause });
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
