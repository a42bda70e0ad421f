import type { ElementTransaction } from '#core/model/nft/element-change.ts';
import type { Script } from '#core/model/nft/script.ts';
import type { ElementWriter } from './element-writer.ts';
import type { Nft } from './nft.ts';
import { NftError } from '#kernel/nft-error.ts';

/** One transaction: as a script, and where it is a change of elements and labels alone, as that. */
interface Transaction {
  readonly script: Script;
  readonly direct: ElementTransaction | undefined;
  /** Nothing refers yet to the sets it changes, so that they may be filled in portions. */
  readonly unused: boolean;
}

/** Transactions to run in order, and for each what takes it back, should a later one be refused. */
export interface Transactions {
  readonly transactions: readonly Transaction[];
  readonly undo: readonly Script[];
}

/** The two ways to the kernel's tables: the program nft can say everything; the writer changes elements at little cost. */
export interface KernelWays {
  readonly nft: Nft;
  /** Undefined to have the program do everything. */
  readonly elements?: ElementWriter | undefined;
}

/** What is done amid a change; it does not throw. */
export interface Meanwhile {
  /** Done before the last transaction, beside the one ahead of it if there is one. */
  readonly beforeLast?: (() => Promise<void>) | undefined;
  /** Done between the last transaction and the one ahead of it. */
  readonly aheadOfLast?: (() => Promise<void>) | undefined;
}

async function nothing(): Promise<void> {
  // What is not asked for takes no time.
}

/**
 * Brings a change into force. Throws the NftError of the transaction that failed; if it was refused, what was in
 * force before still is, whole; otherwise the table has to be read again before anything else is decided.
 */
export async function applyChange(
  ways: KernelWays,
  { transactions, undo }: Transactions,
  { beforeLast = nothing, aheadOfLast = nothing }: Meanwhile = {},
): Promise<void> {
  let done = 0;
  try {
    for (const transaction of transactions) {
      const isLast = done === transactions.length - 1;
      if (isLast && done === 0) await beforeLast();
      if (isLast) await aheadOfLast();
      // What comes before the last one is seen by no packet, and takes its time in another process.
      await Promise.all([run(ways, transaction), ...(done === transactions.length - 2 ? [beforeLast()] : [])]);
      done += 1;
    }
  } catch (error) {
    for (const script of undo.slice(0, done).toReversed())
      if (script.length > 0) await removeLeftovers(ways.nft, script);
    throw error;
  }
}

async function run({ nft, elements }: KernelWays, { script, direct, unused }: Transaction): Promise<void> {
  if (elements !== undefined && direct !== undefined && (await wrote(elements, direct, unused))) return;
  await nft.run(script);
}

/** Whether the writer did it. Where it was refused, or there is none, the program is asked, which does the same and can say why not. */
async function wrote(elements: ElementWriter, change: ElementTransaction, unused: boolean): Promise<boolean> {
  try {
    return unused ? await elements.fill(change) : await elements.apply(change);
  } catch (error) {
    if (error instanceof NftError && ['refused', 'missing'].includes(error.failure)) return false;
    throw error;
  }
}

async function removeLeftovers(nft: Nft, undo: Script): Promise<void> {
  try {
    await nft.run(undo);
  } catch (error) {
    // What is left behind is unused sets; the next change finds them when it reads the table, and removes them.
    if (!(error instanceof NftError)) throw error;
  }
}
