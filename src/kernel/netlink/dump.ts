import { Flags, MessageType } from 'netlink/dist/constants.js';
import type { RawNetlinkSocket } from 'netlink/dist/raw.js';
import { type NetlinkMessage, parseMessages } from 'netlink/dist/structs.js';
import { closeLater, KERNEL_PORT } from './raw-socket.ts';

/** The errors that a failed dump throws. */
export interface DumpErrors {
  /** The socket failed, or the answer is incomplete. */
  readonly lost: (cause: unknown) => Error;
  /** The kernel refused the question; `errno` is negative. */
  readonly refused: (errno: number) => Error;
  readonly timedOut: () => Error;
}

/** A question to the kernel that is answered in many messages. */
export interface Dump {
  /**
   * A socket for this dump alone, which closes it: nothing else can be mistaken for a part of the answer, and an answer
   * that comes after its timeout reaches nobody.
   */
  readonly socket: RawNetlinkSocket;
  readonly question: Buffer;
  /** How long the kernel may take to answer, or to go on with an answer. */
  readonly timeoutMilliseconds: number;
  readonly errors: DumpErrors;
}

/**
 * Sends a question and hands `receive` the messages of the answer as they come. Returns whether a change interrupted the
 * dump, so that it may be inconsistent (NLM_F_DUMP_INTR). Throws what `errors` makes, and what `receive` throws.
 */
export async function dump(
  { socket, question, timeoutMilliseconds, errors }: Dump,
  receive: (message: NetlinkMessage) => void,
): Promise<{ readonly isInterrupted: boolean }> {
  let timer: NodeJS.Timeout | undefined;
  let isInterrupted = false;
  return new Promise<{ readonly isInterrupted: boolean }>((resolve, reject) => {
    timer = expireAfter(timeoutMilliseconds, () => reject(errors.timedOut()));
    socket.on('error', (cause) => reject(errors.lost(cause)));
    socket.on('truncatedMessage', () => reject(errors.lost('answer truncated')));
    // INVARIANT: nothing throws out of this listener; the native caller does not expect it.
    socket.on('message', (bytes, { port }) => {
      if (port !== KERNEL_PORT) return;
      timer?.refresh();
      try {
        for (const message of parseMessages(bytes)) {
          if ((message.flags & Flags.DUMP_INTR) !== 0) isInterrupted = true;
          if (message.type === MessageType.OVERRUN) return reject(errors.lost('data lost'));
          if (message.type === MessageType.DONE || message.type === MessageType.ERROR) {
            const errno = message.data.length < 4 ? 0 : message.data.readInt32LE(0);
            return errno < 0 ? reject(errors.refused(errno)) : resolve({ isInterrupted });
          }
          receive(message);
        }
      } catch (error) {
        reject(error instanceof Error ? error : errors.lost(error));
      }
    });
    socket.send(question, {}, (error) => {
      if (error !== undefined) reject(errors.lost(error));
    });
  }).finally(() => {
    clearTimeout(timer);
    closeLater(socket);
  });
}

/**
 * Calls `expire` once the time is over. The kernel works on a question within sendmsg, and may wait there for a lock, the
 * event loop with it. An answer that has arrived by then still counts: it is read after timers and before immediates.
 */
export function expireAfter(milliseconds: number, expire: () => void): NodeJS.Timeout {
  return setTimeout(() => setImmediate(expire), milliseconds);
}
