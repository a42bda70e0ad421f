import type { HostPolicy } from '#core/model/policy/host.ts';
import { OWN_ADDRESS } from '#core/model/policy/platform.ts';
import type { Direction, Rule } from '#core/model/policy/rule.ts';
import { DIRECTIONS } from '#core/model/policy/rule.ts';
import { counterChains, type Digest, defaultChain, isCounted } from './logging-and-counters.ts';
import { OWN_ADDRESS_CHAIN } from './own-address.ts';
import { chainSetsOf } from './rule-chain-sets.ts';

/** What a chain counts and logs. */
export type CountingChain =
  | { readonly kind: 'rule'; readonly direction: Direction; readonly rule: Rule; readonly isCounted: boolean }
  /** Denied built-in traffic. */
  | { readonly kind: 'platform'; readonly direction: 'inbound'; readonly name: typeof OWN_ADDRESS }
  /** Traffic on these interfaces that no rule matches. */
  | { readonly kind: 'default'; readonly direction: Direction; readonly patterns: readonly string[] };

/** What each counting and logging chain stands for, by its name in the ruleset; rules without such a chain are included. */
export function countingChains(policy: HostPolicy, digest: Digest): ReadonlyMap<string, CountingChain> {
  const chains = new Map<string, CountingChain>();
  if (policy.platform.ownAddress)
    chains.set(OWN_ADDRESS_CHAIN, { kind: 'platform', direction: 'inbound', name: OWN_ADDRESS });
  for (const chainSet of chainSetsOf(policy)) {
    const { key, patterns } = chainSet;
    for (const direction of DIRECTIONS) {
      const rules = [...policy.management[direction], ...chainSet[direction]];
      const counted = isCounted(policy.accounts, rules);
      for (const { name, rule } of counterChains(rules, { chainSet: key, direction, digest }))
        chains.set(name, { kind: 'rule', direction, rule, isCounted: counted });
      chains.set(defaultChain(key, direction), { kind: 'default', direction, patterns });
    }
  }
  return chains;
}
