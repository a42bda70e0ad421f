import type { MessageWriter } from '#kernel/netlink/message-writer.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { attributeText, messageAttributes, netlinkAttributes } from '#kernel/netlink/netlink-attributes.ts';
import {
  NFPROTO_INET,
  NFT_MSG_GETRULE,
  NFTA_COUNTER_BYTES,
  NFTA_COUNTER_PACKETS,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_TABLE,
  nftables,
  tableName,
} from './nftables-messages.ts';
import { ruleExpressions } from './rule-expressions.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h.

/** What a counter has counted. */
export interface Count {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/**
 * Reads the counters of the rules of `table`, by the kernel name of their chain; several in one chain are summed. Throws a
 * NetfilterError.
 */
export async function readRuleCounters(table: string): Promise<ReadonlyMap<string, Count>> {
  const name = tableName(table);
  const counts = new Map<string, Count>();
  const socket = new NetfilterSocket();
  const attributes = (writer: MessageWriter): void => writer.text(NFTA_RULE_TABLE, name);
  try {
    await socket.dump({ type: nftables(NFT_MSG_GETRULE), family: NFPROTO_INET, attributes }, ({ data }) => {
      let chain = '';
      let ours = false;
      let count: Count | undefined;
      for (const { type, value } of messageAttributes(data)) {
        if (type === NFTA_RULE_TABLE) ours = attributeText(value) === name;
        else if (type === NFTA_RULE_CHAIN) chain = attributeText(value);
        else if (type === NFTA_RULE_EXPRESSIONS) count = counterOf(value);
      }
      if (!ours || count === undefined) return;
      const before = counts.get(chain);
      counts.set(chain, {
        packets: count.packets + (before?.packets ?? 0n),
        bytes: count.bytes + (before?.bytes ?? 0n),
      });
    });
  } finally {
    socket.close();
  }
  return counts;
}

/** The counter of a rule; undefined if it has none. */
function counterOf(expressions: Buffer): Count | undefined {
  for (const { name, data } of ruleExpressions(expressions)) {
    if (name !== 'counter') continue;
    const attributes = [...netlinkAttributes(data)].filter(({ value }) => value.length === 8);
    const numbers = new Map(attributes.map(({ type, value }) => [type, value.readBigUInt64BE(0)]));
    return { packets: numbers.get(NFTA_COUNTER_PACKETS) ?? 0n, bytes: numbers.get(NFTA_COUNTER_BYTES) ?? 0n };
  }
  return undefined;
}
