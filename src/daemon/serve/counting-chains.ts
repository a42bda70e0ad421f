import type { HostPolicy } from '#core/model/policy/host.ts';
import { type CountingChain, countingChains } from '#core/translate/4-compile/counting-chains.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';

const cache = new WeakMap<HostPolicy, ReadonlyMap<string, CountingChain>>();

/** The chains that log or count, by their names in the ruleset, with the rule, default or built-in traffic of each. */
export function chainsOf(policy: HostPolicy): ReadonlyMap<string, CountingChain> {
  const chains = cache.get(policy) ?? countingChains(policy, hashContent);
  cache.set(policy, chains);
  return chains;
}
