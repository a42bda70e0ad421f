import type { ChainContent, LabelRule } from '#core/model/nft/element-change.ts';
import type { LabelsInUse } from '#core/model/nft/in-force.ts';
import { admitChain, CHAIN_SET_LABELS, liveChain, OPENED_CHAIN, OPENED_LABEL } from '#core/model/nft/label-chains.ts';

/** The label chains that chain sets need. */
export function labelChainNames(chainSets: readonly string[]): readonly string[] {
  if (chainSets.length === 0) return [];
  return [OPENED_CHAIN, ...chainSets.flatMap((chainSet) => [liveChain(chainSet), admitChain(chainSet)])];
}

/**
 * The labels to use after a change, so that the rules decide on every flow again: the next labels that no flow can have,
 * one for each chain set; none if they are used up, or if it is unknown which ones flows have.
 */
export function nextLabels(inUse: LabelsInUse, chainSets: readonly string[]): LabelsInUse {
  if (inUse === 'none' || inUse === 'unknown') return 'none';
  const used = inUse.used + chainSets.length;
  return used <= CHAIN_SET_LABELS ? { used } : 'none';
}

/** The content of label chains. While no labels are in use, the rules decide on each packet that they accept. */
export function labelChains(chainSets: readonly string[], inUse: LabelsInUse): readonly ChainContent[] {
  if (chainSets.length === 0) return [];
  return [
    // Always there: a flow that begins while no rule names a label has no room for one.
    { chain: OPENED_CHAIN, rules: [{ kind: 'label', bit: OPENED_LABEL, verdict: 'accept' }] },
    ...chainSetLabelChains(chainSets, inUse),
  ];
}

/** The label chains whose content changes with the labels in use. */
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
