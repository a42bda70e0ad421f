import { NetfilterError } from '#kernel/errors.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { writeExpression } from './encode-rules.ts';
import {
  FLAGS_NEW,
  NFPROTO_INET,
  NFT_FIB_RESULT_ADDRTYPE,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWRULE,
  NFT_MSG_NEWTABLE,
  NFT_REG_1,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_TABLE,
  NFTA_FIB_DREG,
  NFTA_FIB_F_SADDR,
  NFTA_FIB_FLAGS,
  NFTA_FIB_RESULT,
  NFTA_RULE_CHAIN,
  NFTA_RULE_EXPRESSIONS,
  NFTA_RULE_TABLE,
  NFTA_TABLE_NAME,
  nftables,
} from './nftables-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h.

const PROBE = 'secgroupd.probe';

/**
 * Whether rules of this kernel can look up the type of an address, which takes the module nft_fib_inet. Changes nothing.
 * Throws a NetfilterError that is not a refusal.
 */
export async function routeLookupsSupported(socket: Pick<NetfilterSocket, 'rehearse'>): Promise<boolean> {
  const writer = new MessageWriter();
  const begin = (type: number, flags: number): void =>
    writer.beginMessage({ type: nftables(type), flags, family: NFPROTO_INET });
  begin(NFT_MSG_NEWTABLE, FLAGS_NEW.create);
  writer.text(NFTA_TABLE_NAME, PROBE);
  writer.endMessage();
  begin(NFT_MSG_NEWCHAIN, FLAGS_NEW.create);
  writer.text(NFTA_CHAIN_TABLE, PROBE);
  writer.text(NFTA_CHAIN_NAME, PROBE);
  writer.endMessage();
  begin(NFT_MSG_NEWRULE, FLAGS_NEW.create | FLAGS_NEW.append);
  writer.text(NFTA_RULE_TABLE, PROBE);
  writer.text(NFTA_RULE_CHAIN, PROBE);
  const expressions = writer.beginNest(NFTA_RULE_EXPRESSIONS);
  writeExpression(writer, 'fib', () => {
    writer.number(NFTA_FIB_DREG, NFT_REG_1);
    writer.number(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    writer.number(NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR);
  });
  writer.endNest(expressions);
  writer.endMessage();
  try {
    await socket.rehearse(writer.messages);
    return true;
  } catch (error) {
    if (!(error instanceof NetfilterError) || error.failure !== 'refused') throw error;
    return false;
  }
}
