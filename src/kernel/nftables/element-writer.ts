import type { ElementTransaction } from '#core/model/nft/element-change.ts';
import { NftError } from '#kernel/errors.ts';
import { NetfilterSocket } from '#kernel/netlink/netfilter-socket.ts';
import { applyElements, fitsTransaction } from './element-change.ts';
import { fillSet } from './fill-set.ts';
import { labelsSupported } from './labels-supported.ts';
import { routeLookupsSupported } from './route-lookups-supported.ts';

/** Changes elements of sets by netlink, without starting a program: it takes microseconds, whatever the size of the set. */
export interface ElementWriter {
  /** Applies the change as one transaction; returns false, and does nothing, if it is too big for one. Throws an NftError. */
  apply(change: ElementTransaction): Promise<boolean>;
  /** Fills sets that nothing refers to yet, in portions. Throws an NftError, after which any part may be there. */
  fill(change: ElementTransaction): Promise<boolean>;
  /** Whether this kernel can label flows; true if that is unknown. */
  labelsSupported(): Promise<boolean>;
  /** Whether rules of this kernel can look up the type of an address; true if that is unknown. */
  routeLookupsSupported(): Promise<boolean>;
  close(): void;
}

/** A writer whose socket opens when it is first needed. */
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
    labelsSupported: () => trueIfUnknown(labelsSupported(socket)),
    routeLookupsSupported: () => trueIfUnknown(routeLookupsSupported(socket)),
    close: () => socket.close(),
  };
}

async function trueIfUnknown(answer: Promise<boolean>): Promise<boolean> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof NftError) return true;
    throw error;
  }
}
