import { TABLE_NAMES } from '#core/translate/5-render/names.ts';
import type { Change } from '#core/model/nft/change.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import { applyChange, type KernelBackends, type Meanwhile } from '#kernel/nftables/apply-change.ts';
import type { Nft } from '#kernel/nftables/nft.ts';
import { readInForce } from '#kernel/nftables/table.ts';
import type { TableChanges } from '#kernel/nftables/table-changes.ts';

/** Our table, and whether it is as we left it. */
export interface TableGuard {
  /** Compares what the kernel holds of ours, rules included, with what is `expected`. Throws an NftError. */
  look(expected: InForce | undefined): Promise<Look>;
  /** Makes a change, as {@link applyChange} does. */
  apply(change: Change, meanwhile?: Meanwhile): Promise<void>;
  /** Makes one transaction that changes neither rules nor what identifies the table. Throws what it throws. */
  amend(write: () => Promise<void>): Promise<void>;
  /** Whether the kernel's `generation` says that somebody has changed a table, ours or another, since we did or looked. */
  isOvertaken(generation: number): boolean;
}

/** What the kernel holds of ours. */
export interface Look {
  readonly found: InForce | undefined;
  /**
   * `same`: what is expected; `other`: somebody changed it, or nothing was expected; `unsure`: as far as one can see
   * what is expected, but somebody changed some table while we changed ours.
   */
  readonly is: 'same' | 'other' | 'unsure';
  /** The generations of tables that came since we looked or changed something; undefined where that is not known. */
  readonly generations: { readonly after: number; readonly last: number } | undefined;
}

/** What no rules are identified by. */
const CHANGED_BY_OTHERS = 'changed by others';

/** So often in a row a change is made again because others changed some table meanwhile; theirs, most likely. */
const MOST_REPEATS = 3;

/** A guard that has not looked yet. */
export function createTableGuard(backends: KernelBackends & { readonly nft: Nft }, changes: TableChanges): TableGuard {
  /** The kernel's, when it was last known what the tables hold; undefined asks for a look. */
  let generationSeen: number | undefined;
  /** Our rules, as they were after we changed them last; undefined where nobody knows. */
  let rulesSeen: string | undefined;
  /** How many of our changes in a row others changed some table in the midst of. */
  let interrupted = 0;
  return {
    async look(expected) {
      const generation = await changes.generation();
      const rules = await changes.rules();
      // Without the table the host is open: the sooner it is put back, the better, and listing takes a while.
      const isThere = rules !== undefined || (await changes.isThere());
      const found = isThere ? await readInForce(backends.nft, TABLE_NAMES) : undefined;
      const generations = generationSeen === undefined ? undefined : { after: generationSeen, last: generation };
      generationSeen = generation;
      const isAsExpected =
        found !== undefined &&
        expected !== undefined &&
        sameTable(expected, found) &&
        (rulesSeen === undefined || rules === rulesSeen);
      const is = !isAsExpected ? 'other' : interrupted > 0 && interrupted <= MOST_REPEATS ? 'unsure' : 'same';
      rulesSeen = is === 'same' || expected === undefined ? rules : undefined;
      return { found, is, generations };
    },
    async apply(change, meanwhile) {
      const before = await changes.generation();
      const wasOurs = before === generationSeen || rulesSeen === undefined || (await changes.rules()) === rulesSeen;
      await applyChange(backends, change, meanwhile);
      // INVARIANT: the rules first, so that whatever comes between the two makes the numbers differ.
      const rules = await changes.rules();
      const after = await changes.generation();
      // Sets that are filled by netlink are filled in any number of transactions.
      const isFilled = change.transactions.some(({ netlink, unreferenced }) => unreferenced && netlink !== undefined);
      const isAlone = wasOurs && (isFilled || after - before === change.transactions.length);
      rulesSeen = wasOurs ? rules : CHANGED_BY_OTHERS;
      interrupted = isAlone ? 0 : interrupted + 1;
      generationSeen = isAlone ? after : undefined;
    },
    async amend(write) {
      const before = await changes.generation();
      await write();
      const after = await changes.generation();
      // Where others changed a table meanwhile, the next look tells whether it was ours.
      if (before === generationSeen && after === before + 1) generationSeen = after;
    },
    isOvertaken: (generation) => generation !== generationSeen,
  };
}

function sameTable(ours: InForce, found: InForce): boolean {
  const names = (inForce: InForce): string =>
    JSON.stringify([inForce.sets, inForce.maps, inForce.chains].map((some) => some.toSorted()));
  return ours.contentHash === found.contentHash && ours.generation === found.generation && names(ours) === names(found);
}

/** A table of ours of which only the names are trusted, so that the next change replaces all of it. */
export function notOurs(inForce: InForce): InForce {
  return { ...inForce, contentHash: 'unknown', rendered: undefined, labels: 'unknown' };
}
