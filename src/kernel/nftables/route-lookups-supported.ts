import { writeExpression } from './encode-rules.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import { NetfilterError } from '#kernel/errors.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { FLAGS_NEW, NFPROTO_INET, nftables } from './nftables-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h.
const NFT_MSG_NEWTABLE = 0;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_NEWRULE = 6;
const NFTA_TABLE_NAME = 1;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_FIB_DREG = 1;
const NFTA_FIB_RESULT = 2;
const NFTA_FIB_FLAGS = 3;
const NFT_REG_1 = 1;
const NFT_FIB_RESULT_ADDRTYPE = 3;
const NFTA_FIB_F_SADDR = 1;

const PROBE = 'secgroupd.probe';

/**
 * Whether rules of this kernel can ask its routes whose an address is, which takes the module nft_fib_inet. Nothing is
 * changed. Throws a NetfilterError other than a refusal.
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
