import { NetfilterError } from '#kernel/errors.ts';
import { MessageWriter } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { writeRule } from './encode-rules.ts';
import {
  FLAGS_NEW,
  NFPROTO_ARP,
  NFT_MSG_NEWCHAIN,
  NFT_MSG_NEWTABLE,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_TABLE,
  NFTA_TABLE_NAME,
  nftables,
} from './nftables-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h, linux/netfilter.h, nfnetlink_conntrack.h.
const IPCTNL_MSG_CT_GET_STATS = (1 << 8) | 5;

const PROBE = 'secgroupd.probe';
const RULE_INDEX = 2;

/**
 * Whether this kernel has conntrack labels, which rules can set and read, and {@link clearFlowLabels} can clear. Changes
 * nothing, and does not turn conntrack on. Throws a NetfilterError that is not a refusal.
 */
export async function labelsSupported(socket: NetfilterSocket): Promise<boolean> {
  return (await rulesTakeLabels(socket)) && (await conntrackAnswers(socket));
}

// A rule of an IP family would turn conntrack on in the namespace for a moment, and flows picked up midway would keep the
// wrong direction. In an ARP table the rule is refused with EPROTO, as conntrack has no hooks there (nf_ct_netns_get), but
// only once everything else about it is valid (nft_ct_get_init, nft_ct_set_init); a kernel without labels says EOPNOTSUPP.
async function rulesTakeLabels(socket: NetfilterSocket): Promise<boolean> {
  const writer = new MessageWriter();
  writer.beginMessage({ type: nftables(NFT_MSG_NEWTABLE), flags: FLAGS_NEW.create, family: NFPROTO_ARP });
  writer.text(NFTA_TABLE_NAME, PROBE);
  writer.endMessage();
  writer.beginMessage({ type: nftables(NFT_MSG_NEWCHAIN), flags: FLAGS_NEW.create, family: NFPROTO_ARP });
  writer.text(NFTA_CHAIN_TABLE, PROBE);
  writer.text(NFTA_CHAIN_NAME, PROBE);
  writer.endMessage();
  writeRule(writer, {
    family: NFPROTO_ARP,
    table: PROBE,
    chain: PROBE,
    rule: { kind: 'label', bit: 127, verdict: 'accept' },
  });
  try {
    await socket.rehearse(writer.messages);
    return true;
  } catch (error) {
    if (!(error instanceof NetfilterError) || error.failure !== 'refused') throw error;
    return error.index === RULE_INDEX && error.errno === 'EPROTO';
  }
}

async function conntrackAnswers(socket: NetfilterSocket): Promise<boolean> {
  const writer = new MessageWriter();
  writer.beginMessage({ type: IPCTNL_MSG_CT_GET_STATS, flags: 0, family: 0 });
  writer.endMessage();
  return (await socket.request(writer.messages)).length === 0;
}
