// Kernel facts: include/uapi/linux/netlink.h, linux/netfilter.h, linux/netfilter/nfnetlink.h.
const NFNL_SUBSYS_NFTABLES = 10;

/** The family of tables of both IPv4 and IPv6. */
export const NFPROTO_INET = 1;

/** What a message that makes something may say: NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND. */
export const FLAGS_NEW = { exclusive: 0x200, create: 0x400, append: 0x800 } as const;

/** The type of nf_tables' message of this number. */
export function nftables(message: number): number {
  return (NFNL_SUBSYS_NFTABLES << 8) | message;
}

/** The name of a table given as `inet name`. Throws a RangeError for another family, of which nothing here is. */
export function tableName(table: string): string {
  const [family, name] = table.split(' ');
  if (family !== 'inet' || name === undefined) throw new RangeError(`no inet table: ${table}`);
  return name;
}
