import { createHash } from 'node:crypto';
import type { RawNetlinkSocket } from 'netlink/dist/raw.js';
import { NetfilterError } from '#kernel/errors.ts';
import { HEADER_BYTES, MessageWriter, NETFILTER_HEADER_BYTES } from '#kernel/netlink/message-writer.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { messageAttributes } from '#kernel/netlink/netlink-attributes.ts';
import { openNetfilterSocket } from '#kernel/netlink/open-netfilter-socket.ts';
import { closeLater, KERNEL_PORT } from '#kernel/netlink/raw-socket.ts';
import { generationIn, generationQuestion, readGeneration } from './generation.ts';
import {
  NFPROTO_INET,
  NFT_MSG_GETRULE,
  NFT_MSG_GETTABLE,
  NFTA_RULE_CHAIN,
  NFTA_RULE_HANDLE,
  NFTA_RULE_TABLE,
  NFTA_TABLE_NAME,
  nftables,
  tableName,
} from './nftables-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h.

/** Detects changes of tables at little cost. */
export interface TableChanges {
  /** Reads the generation, a number that every transaction on any table of the network namespace changes. Throws a NetfilterError. */
  generation(): Promise<number>;
  /** Polls the generation every `everyMilliseconds`; returns a function that stops it. Unanswered polls are retried. */
  watch(everyMilliseconds: number, onGeneration: (generation: number) => void): () => void;
  /** Identifies the rules of our table: equal as long as no rule is added, deleted or replaced; undefined if it has none. Throws a NetfilterError. */
  rules(): Promise<string | undefined>;
  /** Whether our table exists. Throws a NetfilterError. */
  isThere(): Promise<boolean>;
  close(): void;
}

/**
 * Detects changes of `table` by polling. The kernel's notices of other programs' big transactions would overflow a socket,
 * for which the netlink package aborts the process, and would slow those transactions down.
 */
export function createTableChanges(table: string): TableChanges {
  const socket = new NetfilterSocket();
  const name = tableName(table);
  return {
    generation: () => readGeneration(socket),
    watch: watchGeneration,
    async rules() {
      const hash = createHash('sha1');
      let found = false;
      const attributes = (writer: MessageWriter): void => writer.text(NFTA_RULE_TABLE, name);
      await socket.dump({ type: nftables(NFT_MSG_GETRULE), family: NFPROTO_INET, attributes }, ({ data }) => {
        found = true;
        // The kernel writes these first, and the expressions behind them (nf_tables_fill_rule_info).
        for (const { type, value } of messageAttributes(data)) {
          if (type === NFTA_RULE_CHAIN || type === NFTA_RULE_HANDLE) hash.update(value);
          if (type === NFTA_RULE_HANDLE) break;
        }
      });
      return found ? hash.digest('hex') : undefined;
    },
    async isThere() {
      const writer = new MessageWriter();
      writer.beginMessage({ type: nftables(NFT_MSG_GETTABLE), flags: 0, family: NFPROTO_INET });
      writer.text(NFTA_TABLE_NAME, name);
      writer.endMessage();
      try {
        await socket.get(writer.messages, () => undefined);
        return true;
      } catch (error) {
        if (error instanceof NetfilterError && error.errno === 'ENOENT') return false;
        throw error;
      }
    },
    close: () => socket.close(),
  };
}

/** Takes the shortest way, since it polls many times a second for as long as the daemon lives. */
function watchGeneration(everyMilliseconds: number, onGeneration: (generation: number) => void): () => void {
  const question = generationQuestion();
  let socket: RawNetlinkSocket | undefined;
  const lose = (): void => {
    if (socket !== undefined) closeLater(socket);
    socket = undefined;
  };
  const opened = (): RawNetlinkSocket => {
    const made = openNetfilterSocket();
    made.unref();
    made.on('error', lose);
    // INVARIANT: nothing throws out of this listener; the native caller does not expect it.
    made.on('message', (bytes, { port }) => {
      if (port !== KERNEL_PORT || made !== socket) return;
      const generation = generationIn(bytes.subarray(HEADER_BYTES - NETFILTER_HEADER_BYTES));
      if (generation !== undefined) onGeneration(generation);
    });
    return made;
  };
  const timer = setInterval(() => {
    try {
      socket ??= opened();
      socket.send([question], {}, (error) => {
        if (error !== undefined) lose();
      });
    } catch {
      // No socket is available now; the next poll tries again.
      lose();
    }
  }, everyMilliseconds);
  return () => {
    clearInterval(timer);
    lose();
  };
}
