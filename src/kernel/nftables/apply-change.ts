import type { Change, Transaction } from '#core/model/nft/change.ts';
import type { ElementTransaction } from '#core/model/nft/element-change.ts';
import type { Script } from '#core/model/nft/script.ts';
import { NftError } from '#kernel/errors.ts';
import type { ElementWriter } from './element-writer.ts';
import type { Nft } from './nft.ts';

/** Transactions to run in order, and for each the script that undoes it if a later one is refused. */
type Transactions = Pick<Change, 'transactions' | 'undo'>;

/** The two backends to the kernel's tables: the program nft can say everything; the writer changes elements at little cost. */
export interface KernelBackends {
  readonly nft: Nft;
  /** Undefined to have the program do everything. */
  readonly elements?: ElementWriter | undefined;
}

/** Work to do while a change is applied; it must not throw. */
export interface Meanwhile {
  /** Runs before the last transaction, in parallel with the second-to-last one if there is one. */
  readonly beforeLast?: (() => Promise<void>) | undefined;
  /** Runs between the second-to-last transaction and the last one. */
  readonly aheadOfLast?: (() => Promise<void>) | undefined;
}

async function nothing(): Promise<void> {
  // The default for both hooks.
}

/**
 * Applies a change. Throws the NftError of the transaction that failed. If it was refused, the rules in force before the
 * change still are, whole; otherwise the table must be read again before anything else is decided.
 */
export async function applyChange(
  backends: KernelBackends,
  { transactions, undo }: Transactions,
  { beforeLast = nothing, aheadOfLast = nothing }: Meanwhile = {},
): Promise<void> {
  let done = 0;
  try {
    for (const transaction of transactions) {
      const isLast = done === transactions.length - 1;
      if (isLast && done === 0) await beforeLast();
      if (isLast) await aheadOfLast();
      // No packet sees the transactions before the last one, and they spend their time in another process.
      await Promise.all([run(backends, transaction), ...(done === transactions.length - 2 ? [beforeLast()] : [])]);
      done += 1;
    }
  } catch (error) {
    for (const script of undo.slice(0, done).toReversed())
      if (script.length > 0) await removeLeftovers(backends.nft, script);
    throw error;
  }
}

async function run({ nft, elements }: KernelBackends, { script, netlink, unreferenced }: Transaction): Promise<void> {
  if (elements !== undefined && netlink !== undefined && (await wrote(elements, netlink, unreferenced))) return;
  await nft.run(script);
}

/** Whether the netlink writer made the change. If the kernel refused it, nft runs the same change and can say what is wrong with it. */
async function wrote(elements: ElementWriter, change: ElementTransaction, unreferenced: boolean): Promise<boolean> {
  try {
    return unreferenced ? await elements.fill(change) : await elements.apply(change);
  } catch (error) {
    if (error instanceof NftError && ['refused', 'missing'].includes(error.failure)) return false;
    throw error;
  }
}

async function removeLeftovers(nft: Nft, undo: Script): Promise<void> {
  try {
    await nft.run(undo);
  } catch (error) {
    // What is left behind is unreferenced sets; the next change finds them when it reads the table, and removes them.
    if (!(error instanceof NftError)) throw error;
  }
}
