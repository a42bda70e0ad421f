import type { ChainContent, LabelRule } from '#core/model/nft/element-change.ts';
import type { LabelsInUse } from '#core/model/nft/in-force.ts';
import { admitChain, CHAIN_SET_LABELS, liveChain, OPENED_CHAIN, OPENED_LABEL } from '#core/model/nft/label-chains.ts';

/** The chains of labels that `judges` need. */
export function labelChainNames(chainSets: readonly string[]): readonly string[] {
  if (chainSets.length === 0) return [];
  return [OPENED_CHAIN, ...chainSets.flatMap((chainSet) => [liveChain(chainSet), admitChain(chainSet)])];
}

/**
 * The labels to use after a change, so that all flows are judged anew: the next ones that no flow can have, one for each
 * judge; none where they are used up, or nobody knows which flows have.
 */
export function nextLabels(inUse: LabelsInUse, chainSets: readonly string[]): LabelsInUse {
  if (inUse === 'none' || inUse === 'unknown') return 'none';
  const used = inUse.used + chainSets.length;
  return used <= CHAIN_SET_LABELS ? { used } : 'none';
}

/** What the chains of labels hold. Where rules use none of the judges', what they let through is judged each time. */
export function labelChains(chainSets: readonly string[], inUse: LabelsInUse): readonly ChainContent[] {
  if (chainSets.length === 0) return [];
  return [
    // Always there: flows that begin while no rule names a label have no room for one.
    { chain: OPENED_CHAIN, rules: [{ kind: 'label', bit: OPENED_LABEL, verdict: 'accept' }] },
    ...chainSetLabelChains(chainSets, inUse),
  ];
}

/** Those of them whose content changes with the labels in use. */
export function chainSetLabelChains(chainSets: readonly string[], inUse: LabelsInUse): readonly ChainContent[] {
  const first = typeof inUse === 'object' ? inUse.used - chainSets.length : undefined;
  return chainSets.flatMap((chainSet, i): readonly ChainContent[] => {
    const bits = [...(first === undefined ? [] : [first + i]), OPENED_LABEL];
    const admit: LabelRule =
      first === undefined ? { kind: 'accept' } : { kind: 'label', bit: first + i, verdict: 'accept' };
    return [
      { chain: liveChain(chainSet), rules: [{ kind: 'labelled', bits, verdict: 'accept' }] },
      { chain: admitChain(chainSet), rules: [admit] },
    ];
  });
}
