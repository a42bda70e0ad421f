import type { OtherChain } from '#core/model/nft/other-table.ts';
import { NETFILTER_HEADER_BYTES } from '#kernel/netlink/message-writer.ts';
import type { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { attributeText, netlinkAttributes } from '#kernel/netlink/netlink-attributes.ts';
import {
  NF_DROP,
  NFT_MSG_GETCHAIN,
  NFTA_CHAIN_HOOK,
  NFTA_CHAIN_NAME,
  NFTA_CHAIN_POLICY,
  NFTA_CHAIN_TABLE,
  NFTA_CHAIN_TYPE,
  NFTA_HOOK_HOOKNUM,
  nftables,
} from './nftables-messages.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h and netfilter.h.
const ALL_FAMILIES = 0;

const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'];

/** Families by number, and the names of their hooks by number. */
const FAMILIES: ReadonlyMap<number, { readonly name: string; readonly hooks: readonly string[] }> = new Map([
  [1, { name: 'inet', hooks: [...HOOKS, 'ingress'] }],
  [2, { name: 'ip', hooks: HOOKS }],
  [3, { name: 'arp', hooks: ['input', 'output', 'forward'] }],
  [5, { name: 'netdev', hooks: ['ingress', 'egress'] }],
  [7, { name: 'bridge', hooks: HOOKS }],
  [10, { name: 'ip6', hooks: HOOKS }],
]);

/**
 * Programs by the names of their chains or, after `table`, of their tables, from the sources of ufw 0.36, dockerd 28 and
 * 29, libvirt 9 and 10, kube-proxy, fail2ban 1.0, tailscaled and firewalld 1.3.
 */
const MAKERS: readonly (readonly [name: string, mark: RegExp])[] = [
  ['ufw', /^ufw6?-/],
  ['firewalld', /^table inet firewalld$/],
  ['Docker', /^DOCKER(?:-|$)|^table ip6? docker-bridges$/],
  ['Kubernetes', /^KUBE-|^table ip6? kube-proxy$/],
  ['libvirt', /^LIBVIRT_|^table ip6? libvirt_network$/],
  ['fail2ban', /^f2b-|^table inet f2b-table$/],
  ['Tailscale', /^ts-(?:input|forward|postrouting)$/],
];

/** A base chain, and the number of its table's family. */
export interface BaseChain extends OtherChain {
  readonly family: number;
}

/** Reads the base chains of every table of the network namespace, and which programs made the tables. Throws a NetfilterError. */
export async function readBaseChains(socket: NetfilterSocket): Promise<readonly BaseChain[]> {
  const chains: Omit<BaseChain, 'madeBy'>[] = [];
  const makers = new Map<string, Set<string>>();
  const note = (table: string, mark: string): void => {
    for (const [name, pattern] of MAKERS)
      if (pattern.test(mark)) makers.set(table, (makers.get(table) ?? new Set()).add(name));
  };
  await socket.dump({ type: nftables(NFT_MSG_GETCHAIN), family: ALL_FAMILIES }, ({ data }) => {
    const family = data[0] ?? 0;
    const values = valuesIn(data, NETFILTER_HEADER_BYTES);
    const [tableName, chain] = [values.get(NFTA_CHAIN_TABLE), values.get(NFTA_CHAIN_NAME)];
    const familyName = FAMILIES.get(family)?.name;
    if (tableName === undefined || chain === undefined || familyName === undefined) return;
    const table = `${familyName} ${attributeText(tableName)}`;
    note(table, attributeText(chain));
    const hook = hookIn(family, values.get(NFTA_CHAIN_HOOK));
    if (hook === undefined) return;
    note(table, `table ${table}`);
    chains.push({
      family,
      table,
      chain: attributeText(chain),
      type: attributeText(values.get(NFTA_CHAIN_TYPE) ?? Buffer.alloc(0)),
      hook,
      policy: values.get(NFTA_CHAIN_POLICY)?.readUInt32BE(0) === NF_DROP ? 'drop' : 'accept',
    });
  });
  return chains.map((chain) => ({ ...chain, madeBy: [...(makers.get(chain.table) ?? [])] }));
}

function hookIn(family: number, nest: Buffer | undefined): string | undefined {
  const number = nest === undefined ? undefined : valuesIn(nest, 0).get(NFTA_HOOK_HOOKNUM)?.readUInt32BE(0);
  return number === undefined ? undefined : FAMILIES.get(family)?.hooks[number];
}

function valuesIn(bytes: Buffer, start: number): ReadonlyMap<number, Buffer> {
  return new Map([...netlinkAttributes(bytes, start)].map(({ type, value }) => [type, value]));
}
