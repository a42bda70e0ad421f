import { TABLE_NAMES } from '../4-render/names.ts';
import type { Change } from '../4-render/change.ts';
import type { InForce } from '../model/in-force.ts';
import { applyChange, type KernelWays } from '../nft/apply-change.ts';
import type { Nft } from '../nft/nft.ts';
import { readInForce } from '../nft/table.ts';
import type { TableChanges } from '../nft/table-changes.ts';

/** Our table, and whether it is as we left it. */
export interface TableGuard {
  /** What the kernel holds of ours, and whether that is what is `expected`, rules included. Throws an NftError. */
  look(expected: InForce | undefined): Promise<{ readonly found: InForce | undefined; readonly isSame: boolean }>;
  /** Makes a change, as {@link applyChange} does. */
  apply(change: Change, beforeLast?: () => Promise<void>): Promise<void>;
  /** Whether somebody has changed a table, ours or another, since we did or looked. Throws an NftError. */
  isOvertaken(): Promise<boolean>;
}

/** What no rules are identified by. */
const CHANGED_BY_OTHERS = 'changed by others';

/** A guard that has not looked yet. */
export function createTableGuard(ways: KernelWays & { readonly nft: Nft }, changes: TableChanges): TableGuard {
  /** The kernel's, when it was last known what the tables hold; undefined asks for a look. */
  let generationSeen: number | undefined;
  /** Our rules, as they were after we changed them last; undefined where nobody knows. */
  let rulesSeen: string | undefined;
  return {
    async look(expected) {
      const generation = await changes.generation();
      const rules = await changes.rules();
      // Without the table the host is open: the sooner it is put back, the better, and listing takes a while.
      const isThere = rules !== undefined || (await changes.isThere());
      const found = isThere ? await readInForce(ways.nft, TABLE_NAMES) : undefined;
      generationSeen = generation;
      const isSame =
        found !== undefined &&
        expected !== undefined &&
        sameTable(expected, found) &&
        (rulesSeen === undefined || rules === rulesSeen);
      rulesSeen = isSame || expected === undefined ? rules : undefined;
      return { found, isSame };
    },
    async apply(change, beforeLast) {
      const before = await changes.generation();
      const wasOurs = before === generationSeen || rulesSeen === undefined || (await changes.rules()) === rulesSeen;
      await applyChange(ways, change, beforeLast);
      // INVARIANT: the rules first, so that whatever comes between the two makes the numbers differ.
      const rules = await changes.rules();
      const after = await changes.generation();
      // Sets that are filled by netlink are filled in any number of transactions.
      const isFilled = change.transactions.some(({ direct, unused }) => unused && direct !== undefined);
      const isAlone = wasOurs && (isFilled || after - before === change.transactions.length);
      rulesSeen = isAlone ? rules : CHANGED_BY_OTHERS;
      generationSeen = isAlone ? after : undefined;
    },
    isOvertaken: async () => (await changes.generation()) !== generationSeen,
  };
}

function sameTable(ours: InForce, found: InForce): boolean {
  const names = (inForce: InForce): string =>
    JSON.stringify([inForce.sets, inForce.maps, inForce.chains].map((some) => some.toSorted()));
  return ours.stamp === found.stamp && ours.generation === found.generation && names(ours) === names(found);
}
