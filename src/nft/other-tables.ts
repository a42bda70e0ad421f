import type { OtherChain } from '../model/status.ts';
import type { Nft } from './nft.ts';
import { NftError } from './nft-error.ts';

/** Hooks where another's rules meet the packets that ours judge. */
const HOOKS: ReadonlySet<string> = new Set(['ingress', 'prerouting', 'input', 'output', 'postrouting']);

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

/** Reads the base chains that `nft list chains` prints; rules are not among what it prints. */
function parseChains(listing: string): readonly OtherChain[] {
  const chains: OtherChain[] = [];
  let [table, chain] = ['', ''];
  for (const line of listing.split('\n')) {
    const opened = /^(?:table ([a-z0-9]+ [^ ]+)|\tchain ([^ ]+)) \{/.exec(line);
    if (opened?.[1] !== undefined) table = opened[1];
    else if (opened?.[2] !== undefined) chain = opened[2];
    const base = /^\t\ttype ([a-z]+) hook ([a-z]+) .*?priority [^;]*;(?: policy ([a-z]+);)?/.exec(line);
    const [, type, hook, policy] = base ?? [];
    if (type === undefined || hook === undefined) continue;
    chains.push({ table, chain, type, hook, policy: policy === 'drop' ? 'drop' : 'accept' });
  }
  return chains;
}
