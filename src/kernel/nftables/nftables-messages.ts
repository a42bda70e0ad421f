// Kernel facts: include/uapi/linux/netlink.h, linux/netfilter.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h.
const NFNL_SUBSYS_NFTABLES = 10;

/** The family of tables for both IPv4 and IPv6. */
export const NFPROTO_INET = 1;

/** Flags of a message that creates something: NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND. */
export const FLAGS_NEW = { exclusive: 0x200, create: 0x400, append: 0x800 } as const;

/** The netlink type of an nf_tables message. */
export function nftables(message: number): number {
  return (NFNL_SUBSYS_NFTABLES << 8) | message;
}

/** The name of a table given as `inet name`. Throws a RangeError for another family. */
export function tableName(table: string): string {
  const [family, name] = table.split(' ');
  if (family !== 'inet' || name === undefined) throw new RangeError(`no inet table: ${table}`);
  return name;
}

// Messages (enum nf_tables_msg_types).
export const NFT_MSG_NEWTABLE = 0;
export const NFT_MSG_GETTABLE = 1;
export const NFT_MSG_NEWCHAIN = 3;
export const NFT_MSG_GETCHAIN = 4;
export const NFT_MSG_NEWRULE = 6;
export const NFT_MSG_GETRULE = 7;
export const NFT_MSG_DELRULE = 8;
export const NFT_MSG_NEWSETELEM = 12;
export const NFT_MSG_GETSETELEM = 13;
export const NFT_MSG_DELSETELEM = 14;
export const NFT_MSG_GETGEN = 16;

// Attributes.
export const NFTA_TABLE_NAME = 1;
export const NFTA_CHAIN_TABLE = 1;
export const NFTA_CHAIN_NAME = 3;
export const NFTA_CHAIN_HOOK = 4;
export const NFTA_CHAIN_POLICY = 5;
export const NFTA_CHAIN_TYPE = 7;
export const NFTA_HOOK_HOOKNUM = 1;
export const NFTA_RULE_TABLE = 1;
export const NFTA_RULE_CHAIN = 2;
export const NFTA_RULE_HANDLE = 3;
export const NFTA_RULE_EXPRESSIONS = 4;
export const NFTA_LIST_ELEM = 1;
export const NFTA_EXPR_NAME = 1;
export const NFTA_EXPR_DATA = 2;
export const NFTA_SET_ELEM_LIST_TABLE = 1;
export const NFTA_SET_ELEM_LIST_SET = 2;
export const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
export const NFTA_SET_ELEM_KEY = 1;
export const NFTA_SET_ELEM_DATA = 2;
export const NFTA_SET_ELEM_FLAGS = 3;
export const NFTA_SET_ELEM_USERDATA = 6;
export const NFTA_DATA_VALUE = 1;
export const NFTA_DATA_VERDICT = 2;
export const NFTA_VERDICT_CODE = 1;
export const NFTA_VERDICT_CHAIN = 2;
export const NFTA_CT_DREG = 1;
export const NFTA_CT_KEY = 2;
export const NFTA_CT_SREG = 4;
export const NFTA_BITWISE_SREG = 1;
export const NFTA_BITWISE_DREG = 2;
export const NFTA_BITWISE_LEN = 3;
export const NFTA_BITWISE_MASK = 4;
export const NFTA_BITWISE_XOR = 5;
export const NFTA_CMP_SREG = 1;
export const NFTA_CMP_OP = 2;
export const NFTA_CMP_DATA = 3;
export const NFTA_IMMEDIATE_DREG = 1;
export const NFTA_IMMEDIATE_DATA = 2;
export const NFTA_COUNTER_BYTES = 1;
export const NFTA_COUNTER_PACKETS = 2;
export const NFTA_FIB_DREG = 1;
export const NFTA_FIB_F_SADDR = 1;
export const NFTA_FIB_RESULT = 2;
export const NFTA_FIB_FLAGS = 3;
export const NFTA_GEN_ID = 1;

// Values.
export const NFPROTO_ARP = 3;
export const NFT_CMP_NEQ = 1;
export const NFT_CT_LABELS = 13;
export const NFT_FIB_RESULT_ADDRTYPE = 3;
export const NFT_REG_1 = 1;
export const NFT_REG_VERDICT = 0;
export const NFT_SET_ELEM_INTERVAL_END = 1;
export const NF_ACCEPT = 1;
export const NF_DROP = 0;
