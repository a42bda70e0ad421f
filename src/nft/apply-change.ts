import type { DirectChange } from '../model/element-change.ts';
import type { Script } from '../model/script.ts';
import type { Nft } from './nft.ts';
import { NftError } from './nft-error.ts';

/** Transactions to run in order, and for each what takes it back, should a later one be refused. */
export interface Transactions {
  readonly transactions: readonly { readonly script: Script; readonly direct: DirectChange | undefined }[];
  readonly undo: readonly Script[];
}

/**
 * Brings a change into force. Throws the NftError of the transaction that failed; if it was refused, what was in
 * force before still is, whole; otherwise the table has to be read again before anything else is decided.
 */
export async function applyChange(nft: Nft, { transactions, undo }: Transactions): Promise<void> {
  let done = 0;
  try {
    for (const { script } of transactions) {
      await nft.run(script);
      done += 1;
    }
  } catch (error) {
    for (const script of undo.slice(0, done).toReversed()) if (script.length > 0) await removeLeftovers(nft, script);
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
