import type { Change } from '#core/model/nft/change.ts';
import type { InForce } from '#core/model/nft/in-force.ts';
import { TABLE_NAMES } from '#core/translate/5-render/names.ts';
import { applyChange, type KernelBackends, type Meanwhile } from '#kernel/nftables/apply-change.ts';
import type { Nft } from '#kernel/nftables/nft.ts';
import { readInForce } from '#kernel/nftables/table.ts';
import type { TableChanges } from '#kernel/nftables/table-changes.ts';

/** What the kernel holds of our table, and whether other processes have changed it. */
export interface TableLook {
  readonly found: InForce | undefined;
  /**
   * `same`: what is expected; `other`: another process changed it, or nothing was expected; `uncertain`: it looks like
   * what is expected, but another process changed some table while we changed ours.
   */
  readonly is: 'same' | 'other' | 'uncertain';
  /** The generations of tables that came since the last look or change; undefined where that is not known. */
  readonly generations: { readonly after: number; readonly last: number } | undefined;
}

/** What no rules are identified by. */
const CHANGED_BY_OTHERS = 'changed by others';

/** A change is made again at most this often in a row because others changed some table meanwhile; theirs, most likely. */
const MAX_REPEATS = 3;

/** Our table in the kernel: changes it, and notices when another process does. */
export class TableMonitor {
  readonly #backends: KernelBackends & { readonly nft: Nft };
  readonly #changes: TableChanges;
  /** The kernel's, when it was last known what the tables hold; undefined asks for a look. */
  #generationSeen: number | undefined;
  /** Our rules, as they were after we changed them last; undefined where they are unknown. */
  #rulesSeen: string | undefined;
  /** The number of our changes in a row that others changed some table in the midst of. */
  #interrupted = 0;

  constructor(backends: KernelBackends & { readonly nft: Nft }, changes: TableChanges) {
    this.#backends = backends;
    this.#changes = changes;
  }

  /** Compares what the kernel holds of ours, rules included, with what is `expected`. Throws an NftError. */
  async look(expected: InForce | undefined): Promise<TableLook> {
    const generation = await this.#changes.generation();
    const rules = await this.#changes.rules();
    // Without the table the host is open: the sooner it is put back, the better, and listing takes a while.
    const isThere = rules !== undefined || (await this.#changes.isThere());
    const found = isThere ? await readInForce(this.#backends.nft, TABLE_NAMES) : undefined;
    const generations =
      this.#generationSeen === undefined ? undefined : { after: this.#generationSeen, last: generation };
    this.#generationSeen = generation;
    const isAsExpected =
      found !== undefined &&
      expected !== undefined &&
      isSameTable(expected, found) &&
      (this.#rulesSeen === undefined || rules === this.#rulesSeen);
    const isInterrupted = this.#interrupted > 0 && this.#interrupted <= MAX_REPEATS;
    const is = !isAsExpected ? 'other' : isInterrupted ? 'uncertain' : 'same';
    this.#rulesSeen = is === 'same' || expected === undefined ? rules : undefined;
    return { found, is, generations };
  }

  /** Makes a change, as {@link applyChange} does. */
  async apply(change: Change, meanwhile?: Meanwhile): Promise<void> {
    const before = await this.#changes.generation();
    const wasOurs =
      before === this.#generationSeen ||
      this.#rulesSeen === undefined ||
      (await this.#changes.rules()) === this.#rulesSeen;
    await applyChange(this.#backends, change, meanwhile);
    // INVARIANT: the rules first, so that whatever comes between the two makes the numbers differ.
    const rules = await this.#changes.rules();
    const after = await this.#changes.generation();
    // Sets that are filled by netlink are filled in any number of transactions.
    const isFilled = change.transactions.some(({ netlink, unreferenced }) => unreferenced && netlink !== undefined);
    const isAlone = wasOurs && (isFilled || after - before === change.transactions.length);
    this.#rulesSeen = wasOurs ? rules : CHANGED_BY_OTHERS;
    this.#interrupted = isAlone ? 0 : this.#interrupted + 1;
    this.#generationSeen = isAlone ? after : undefined;
  }

  /** Makes one transaction that changes neither rules nor what identifies the table. Throws what it throws. */
  async amend(write: () => Promise<void>): Promise<void> {
    const before = await this.#changes.generation();
    await write();
    const after = await this.#changes.generation();
    // Where others changed a table meanwhile, the next look tells whether it was ours.
    if (before === this.#generationSeen && after === before + 1) this.#generationSeen = after;
  }

  /** Whether the kernel's `generation` says that a table, ours or another, has changed since we changed ours or looked. */
  isStale(generation: number): boolean {
    return generation !== this.#generationSeen;
  }
}

function isSameTable(ours: InForce, found: InForce): boolean {
  const names = (inForce: InForce): string =>
    JSON.stringify([inForce.sets, inForce.maps, inForce.chains].map((some) => some.toSorted()));
  return ours.contentHash === found.contentHash && ours.generation === found.generation && names(ours) === names(found);
}
