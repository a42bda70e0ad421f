import { FlagsGet, MessageType } from 'netlink/dist/constants.js';
import type { RawNetlinkSocket } from 'netlink/dist/raw.js';
import { type NetlinkMessage, parseError, parseMessages } from 'netlink/dist/structs.js';
import { NetfilterError, refusalOf } from '#kernel/errors.ts';
import { dump, expireAfter } from './dump.ts';
import { MessageWriter } from './message-writer.ts';
import { BATCH_END, batchBegin, numberMessages } from './netfilter-batch.ts';
import { lostSocket, openNetfilterSocket } from './open-netfilter-socket.ts';
import { closeLater, KERNEL_PORT } from './raw-socket.ts';

/** Sequence numbers begin again after this one. */
const MAX_SEQUENCE = 0xf000_0000;

/** How to use a socket. */
export interface SocketOptions {
  /** How long the kernel may take to answer, or to go on with an answer; it does so within sendmsg, or something is wrong. */
  readonly timeoutMilliseconds?: number;
}

/** A refused message among independent ones: its index, and the kernel's errno, which is negative. */
export interface Refusal {
  readonly index: number;
  readonly errno: number;
}

/** A question that is answered in many messages. */
export interface DumpRequest {
  readonly type: number;
  readonly family: number;
  /** Writes the attributes that narrow the question. */
  readonly attributes?: (writer: MessageWriter) => void;
}

interface Exchange {
  readonly kind: 'transaction' | 'requests';
  /** The sequence number of the first message; the message that begins a transaction has the number before it. */
  readonly first: number;
  readonly last: number;
  readonly refusals: Refusal[];
  /** Takes the messages of the answer that are no acknowledgements. */
  readonly receive: ((message: NetlinkMessage) => void) | undefined;
  readonly resolve: (refusals: readonly Refusal[]) => void;
  readonly reject: (error: NetfilterError) => void;
}

type Question = Pick<Exchange, 'kind' | 'first' | 'last'> & Partial<Pick<Exchange, 'receive'>>;

/**
 * A socket to the kernel's netfilter, in the network namespace that the process was in when it was first used. It opens
 * when it is needed and stays open; after a failure of its own (`died`, `timeout`: it is unknown what was done) the next
 * use opens it again. It does not keep the process alive.
 *
 * INVARIANT: the socket never overflows, since the package then aborts the process (it makes a string of a null pointer).
 * Therefore there is one exchange at a time, each bounded by MessageWriter.fits, only the last message asks for an
 * acknowledgement, and dumps, which fill the receive buffer by design, have sockets of their own.
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

  /** Has nf_tables carry out all of the messages, or none. Throws a NetfilterError. */
  async transact(messages: Buffer): Promise<void> {
    await this.#inTurn(async () => {
      const { first, last } = this.#number(messages);
      await this.#ask({ kind: 'transaction', first, last }, [batchBegin(first - 1), messages, BATCH_END]);
    });
  }

  /** Throws the NetfilterError that `transact` would throw for the messages, and carries out none of them. */
  async rehearse(messages: Buffer): Promise<void> {
    await this.#inTurn(async () => {
      const { first, last } = this.#number(messages);
      // The kernel validates a batch without an end and takes it back (nfnetlink_rcv_batch), as for `nft --check`.
      await this.#ask({ kind: 'transaction', first, last }, [batchBegin(first - 1), messages]);
    });
  }

  /** Sends messages that are independent of each other and returns the refused ones. Throws a NetfilterError. */
  async request(messages: Buffer): Promise<readonly Refusal[]> {
    return this.#inTurn(async () => this.#ask({ kind: 'requests', ...this.#number(messages) }, [messages]));
  }

  /** Sends one question and hands `receive` the answer, which is one message or a few. Throws a NetfilterError. */
  async get(question: Buffer, receive: (message: NetlinkMessage) => void): Promise<void> {
    const [refusal] = await this.#inTurn(async () =>
      this.#ask({ kind: 'requests', ...this.#number(question), receive }, [question]),
    );
    if (refusal !== undefined) throw refusalOf(refusal.errno, undefined);
  }

  /** Hands `receive` the messages of a dump as they come. Throws a NetfilterError, and what `receive` throws. */
  async dump({ type, family, attributes }: DumpRequest, receive: (message: NetlinkMessage) => void): Promise<void> {
    const writer = new MessageWriter();
    writer.beginMessage({ type, flags: FlagsGet.DUMP, family });
    attributes?.(writer);
    writer.endMessage();
    const socket = openNetfilterSocket();
    const errors = { lost: lostSocket, refused: (errno: number) => refusalOf(errno, undefined), timedOut };
    const timeoutMilliseconds = this.#timeoutMilliseconds;
    await dump({ socket, question: writer.messages, timeoutMilliseconds, errors }, receive);
  }

  /** Closes the socket; whoever waits for an answer gets the error that it is unknown what was done. */
  close(): void {
    this.#drop(lostSocket('closed'));
  }

  async #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(act);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #number(messages: Buffer): Pick<Exchange, 'first' | 'last'> {
    // Each number is used once, so that a late answer is not taken for another message's.
    if (this.#sequence > MAX_SEQUENCE) this.#sequence = 0;
    const first = this.#sequence + 2;
    const last = numberMessages(messages, first);
    this.#sequence = last + 1;
    return { first, last };
  }

  async #ask(question: Question, parts: readonly Buffer[]): Promise<readonly Refusal[]> {
    const socket = this.#opened();
    let timer: NodeJS.Timeout | undefined;
    socket.ref();
    return new Promise<readonly Refusal[]>((resolve, reject) => {
      this.#exchange = { receive: undefined, ...question, refusals: [], resolve, reject };
      timer = expireAfter(this.#timeoutMilliseconds, () => this.#drop(timedOut()));
      // What sendmsg itself refuses has not reached netfilter.
      socket.send([...parts], {}, (error) => {
        if (error !== undefined) reject(new NetfilterError('refused', error.message, { cause: error }));
      });
    }).finally(() => {
      clearTimeout(timer);
      this.#exchange = undefined;
      if (this.#socket === socket) socket.unref();
    });
  }

  #opened(): RawNetlinkSocket {
    if (this.#socket !== undefined) return this.#socket;
    const socket = openNetfilterSocket();
    this.#socket = socket;
    const fail = (cause: unknown): void => {
      if (this.#socket === socket) this.#drop(lostSocket(cause));
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
    if (type === MessageType.OVERRUN) return this.#drop(lostSocket('data lost'));
    if (exchange === undefined || seq < exchange.first - 1 || seq > exchange.last) return;
    if (type !== MessageType.ERROR) return exchange.receive?.(message);
    const { errno } = parseError(data, flags);
    const index = seq - exchange.first;
    // The errors of a transaction come in the order of its messages and before the acknowledgement of the last one; an
    // error of the commit comes before all of them, as the begin's (nfnetlink_rcv_batch, nfnl_err_deliver).
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

function timedOut(): NetfilterError {
  return new NetfilterError('timeout', 'the kernel did not answer in time');
}
