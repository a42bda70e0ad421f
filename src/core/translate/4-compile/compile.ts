import type { NftChain, NftRule, Ruleset } from '#core/model/nft/ruleset.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import { compileChainSet } from './compile-chain-set.ts';
import type { Shape } from './compile-rule-list.ts';
import { dispatchRules, membersChain, tellsMembers } from './dispatch.ts';
import { sharedByLogRules } from './log-rules.ts';
import type { Digest } from './logging-and-counters.ts';
import { ownAddressChains } from './own-address.ts';
import { platformChain } from './platform-rules.ts';
import { chainNames, chainSetsOf, isUnmanaged } from './rule-chain-sets.ts';
import { createSetRegistry } from './set-registry.ts';
import { REVOKED } from './state-rules.ts';

/** The ruleset that enforces `policy`. `digest` identifies a text; chains are named after what their rules say. */
export function compile(policy: HostPolicy, digest: Digest, shape: Shape = 'chosen'): Ruleset {
  const sets = createSetRegistry(policy);
  const names = chainNames(policy.bindings);
  const chainSets = chainSetsOf(policy);
  const unmanaged = chainSets.find(isUnmanaged);
  const labels = policy.flowLabels !== false;
  // Where one chain set is for all interfaces but open ones, it does not matter by which of them a labelled flow comes.
  const alone = labels && chainSets.length === 1 && unmanaged === undefined ? chainSets[0] : undefined;
  const dispatch = (direction: Direction): NftRule[] =>
    dispatchRules({ direction, policy, names, unmanaged: unmanaged?.key, alone: alone?.key });
  const context = { policy, sets, shape, digest, labels, liveAhead: alone !== undefined };
  const compiled = chainSets.map((chainSet) => compileChainSet(chainSet, context));
  const chains: readonly NftChain[] = [
    platformChain(policy, 'inbound'),
    platformChain(policy, 'outbound'),
    ...(compiled.length === 0 ? [] : [REVOKED]),
    ...ownAddressChains(policy),
    ...compiled.flatMap((chainSet) => chainSet.chains),
    ...(tellsMembers(policy) ? [membersChain(policy, names)] : []),
    { name: 'input', hook: 'input', rules: dispatch('inbound') },
    { name: 'output', hook: 'output', rules: dispatch('outbound') },
  ];
  return {
    sets: [...sets.all(), ...compiled.flatMap(({ maps }) => maps)],
    chains,
    ...sharedByLogRules(policy),
    chainSets: labels ? chainSets.map(({ key }) => key) : [],
  };
}
