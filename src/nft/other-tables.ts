import type { OtherChain, PublishedPort } from '../model/status.ts';
import type { Nft } from './nft.ts';
import { NftError } from './nft-error.ts';

/** Hooks where another's rules meet the packets that ours judge. */
const HOOKS: ReadonlySet<string> = new Set(['ingress', 'prerouting', 'input', 'output', 'postrouting']);

/**
 * Programs by the names that they give to chains, or, after `table`, to tables: ufw 0.36, dockerd 28 and 29, libvirt 9
 * and 10, kube-proxy, fail2ban 1.0, tailscaled and firewalld 1.3, in their sources.
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

/**
 * The chains of other tables, `ours` left out, that packets of the host's own meet as well: those of filters can drop
 * what ours accept, those of NAT can send it elsewhere. Undefined where nft cannot tell.
 */
export async function readOtherChains(nft: Nft, ours: string): Promise<readonly OtherChain[] | undefined> {
  try {
    return parseChains((await nft.list(['chains'])) ?? '').filter(
      ({ table, hook, type }) => table !== ours && HOOKS.has(hook) && (type !== 'nat' || hook === 'prerouting'),
    );
  } catch (error) {
    if (error instanceof NftError) return undefined;
    throw error;
  }
}

/**
 * The ports that tables of NAT among `chains` send elsewhere before rules of the input hook see the packets. Undefined
 * where nft cannot tell: it is known to stumble over tables that other versions have made.
 */
export async function readPublishedPorts(
  nft: Nft,
  chains: readonly OtherChain[],
): Promise<readonly PublishedPort[] | undefined> {
  const tables = [...new Set(chains.filter(({ type }) => type === 'nat').map(({ table }) => table))];
  try {
    const listings = await Promise.all(tables.map((table) => nft.list(['table', ...table.split(' ')])));
    return tables.flatMap((table, i) => parsePublished(table, listings[i] ?? ''));
  } catch (error) {
    if (error instanceof NftError) return undefined;
    throw error;
  }
}

/** Reads rules that redirect a port, as nft prints them; iptables' own, where nft knows no words for them, say no more than that they do. */
function parsePublished(table: string, listing: string): readonly PublishedPort[] {
  return listing.split('\n').flatMap((line) => {
    const redirect = /\bdnat(?: ip6?)? to (\S+)|xt target "DNAT"/.exec(line);
    const port = /\b(tcp|udp|sctp) dport (\d+(?:-\d+)?|\{[^}]*\})/.exec(line);
    if (redirect === null || port?.[1] === undefined || port[2] === undefined) return [];
    return [{ table, protocol: port[1], port: port[2], to: redirect[1] ?? null }];
  });
}

/** Reads the base chains that `nft list chains` prints, and who made their tables; rules are not among what it prints. */
function parseChains(listing: string): readonly OtherChain[] {
  const chains: Omit<OtherChain, 'madeBy'>[] = [];
  const makers = new Map<string, Set<string>>();
  let [table, chain] = ['', ''];
  for (const line of listing.split('\n')) {
    const opened = /^(?:table ([a-z0-9]+ [^ ]+)|\tchain ([^ ]+)) \{/.exec(line);
    if (opened?.[1] !== undefined) table = opened[1];
    else if (opened?.[2] !== undefined) chain = opened[2];
    const mark = opened?.[2] ?? `table ${table}`;
    for (const [name, pattern] of opened === null ? [] : MAKERS)
      if (pattern.test(mark)) makers.set(table, (makers.get(table) ?? new Set()).add(name));
    const base = /^\t\ttype ([a-z]+) hook ([a-z]+) .*?priority [^;]*;(?: policy ([a-z]+);)?/.exec(line);
    const [, type, hook, policy] = base ?? [];
    if (type === undefined || hook === undefined) continue;
    chains.push({ table, chain, type, hook, policy: policy === 'drop' ? 'drop' : 'accept' });
  }
  return chains.map((one) => ({ ...one, madeBy: [...(makers.get(one.table) ?? [])] }));
}
