import type { ElementTransaction } from '#core/model/nft/element-change.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import type { Script } from '#core/model/nft/script.ts';

/** One transaction: as a script, and where it is a change of elements and labels alone, as that. */
export interface Transaction {
  readonly script: Script;
  readonly direct: ElementTransaction | undefined;
  /** Nothing refers yet to the sets it changes, so that they may be filled in portions. */
  readonly unused: boolean;
}

/**
 * How the kernel gets from what it holds to what it shall hold: transactions to run in order, and for each what takes
 * it back. What is in force meanwhile is the whole old or the whole new ruleset.
 */
export interface Change {
  readonly kind: 'none' | 'elements' | 'labels' | 'swap';
  readonly transactions: readonly Transaction[];
  /** For each transaction what takes it back, should a later one be refused; empty where nothing is left behind. */
  readonly undo: readonly Script[];
  /** What a change of elements adds to the script of what was in force before it; labels apart, since flows may have any then. */
  readonly addition: Script;
  readonly next: InForce;
}
