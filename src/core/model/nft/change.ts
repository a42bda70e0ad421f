import type { ElementTransaction } from './element-change.ts';
import type { InForce } from './in-force.ts';
import type { Script } from './script.ts';

/** One transaction, as a script; one that changes only elements and labels also as netlink can send it. */
export interface Transaction {
  readonly script: Script;
  readonly netlink: ElementTransaction | undefined;
  /** Nothing refers to its sets yet, so they may be filled in portions. */
  readonly unreferenced: boolean;
}

/**
 * How to get the kernel from what it holds to what it should hold: transactions to run in order, and for each one the
 * script that undoes it. At any moment either the whole old or the whole new ruleset is in force.
 */
export interface Change {
  readonly kind: 'none' | 'elements' | 'labels' | 'swap';
  readonly transactions: readonly Transaction[];
  /** For each transaction the script that undoes it if a later one is refused; empty if it leaves nothing behind. */
  readonly undo: readonly Script[];
  /** What a change of elements appends to the boot script; labels are left out, since flows may have any when it is loaded. */
  readonly addition: Script;
  readonly next: InForce;
}
