import type { ElementTransaction } from '#core/model/nft/element-change.ts';
import { applyElements, fitsTransaction } from './element-change.ts';
import { fillSet } from './fill-set.ts';
import { labelsSupported } from './labels-supported.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { NftError } from '#kernel/errors.ts';
import { routeLookupsSupported } from './route-lookups-supported.ts';

/** Changes elements of sets by netlink, without a program: microseconds, whatever the size of the set. */
export interface ElementWriter {
  /** Makes the change as one transaction; false, and nothing done, where it is more than one can hold. Throws an NftError. */
  apply(change: ElementTransaction): Promise<boolean>;
  /** Fills sets that nothing refers to yet, in portions. Throws an NftError; then any part may be there. */
  fill(change: ElementTransaction): Promise<boolean>;
  /** Whether this kernel can label flows; true where that cannot be told. */
  labelsSupported(): Promise<boolean>;
  /** Whether rules of this kernel can ask its routes whose an address is; true where that cannot be told. */
  routeLookupsSupported(): Promise<boolean>;
  close(): void;
}

/** A writer whose socket is opened when it is first needed. */
export function createElementWriter(): ElementWriter {
  const socket = new NetfilterSocket();
  return {
    async apply(change) {
      if (!fitsTransaction(change)) return false;
      await applyElements(socket, change);
      return true;
    },
    async fill({ table, changes }) {
      for (const { set, key, interval, added } of changes) await fillSet(socket, { table, set, key, interval }, added);
      return true;
    },
    labelsSupported: () => unlessUntold(labelsSupported(socket)),
    routeLookupsSupported: () => unlessUntold(routeLookupsSupported(socket)),
    close: () => socket.close(),
  };
}

async function unlessUntold(answer: Promise<boolean>): Promise<boolean> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof NftError) return true;
    throw error;
  }
}
