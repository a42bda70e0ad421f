import type { Script } from '#core/model/nft/script.ts';
import type { RenderedChange } from '#core/translate/6-change/render-change.ts';
import type { LastGood } from '#host/state/last-good.ts';
import type { Nft } from '#kernel/nftables/nft.ts';

/** Runs a step that keeps something on disk; returns whether it was done, and reports why not elsewhere. */
export type Save = (step: () => Promise<boolean | void>) => Promise<boolean>;

/** A change of the boot script in two steps, around the change of the kernel. Neither throws. */
export interface TwoStepWrite {
  before(): Promise<void>;
  /** Returns whether the script is what is in force now. */
  after(): Promise<boolean>;
}

/** What a change of the boot script is made with. */
export interface PersistOptions {
  readonly lastGood: LastGood;
  readonly save: Save;
  /** Whether the script is what is in force before the change, so that a change of members can be added to it. */
  readonly canAppend: boolean;
  /** What the host boots with should the script not load. */
  readonly fallback: () => Script;
}

/** Keeps the script that boots the host in step with a change. */
export function persistAround(
  { change, whole }: RenderedChange,
  { lastGood, save, canAppend, fallback }: PersistOptions,
): TwoStepWrite {
  let saved: 'appended' | 'prepared' | undefined;
  return {
    // INVARIANT: what is applied was first written to disk, and takes the last good one's place once it is applied.
    async before() {
      const isAppendable = change.kind === 'elements' && canAppend;
      if (isAppendable && (await save(() => lastGood.append(change.addition)))) saved = 'appended';
      else if (await save(() => lastGood.prepare(whole()))) saved = 'prepared';
    },
    async after() {
      const isCommitted = saved === 'prepared' && (await save(() => lastGood.commit()));
      if (isCommitted) await save(() => lastGood.keepFallback(fallback()));
      return isCommitted || saved === 'appended';
    },
  };
}

/**
 * Loads the boot script; returns false where there is none. `onPartial` is called where the members changed last could
 * not be loaded. Throws an NftError, and what reading throws.
 */
export async function loadBootScript(
  { lastGood, nft }: { readonly lastGood: LastGood; readonly nft: Nft },
  onPartial: (error: unknown) => void,
): Promise<boolean> {
  const script = await lastGood.read();
  if (script === undefined) return false;
  await nft.run(script.whole);
  // Without the changes of members since, it is what was in force a while ago, and better than nothing.
  if (script.changes.length > 0) await nft.run(script.changes).catch(onPartial);
  return true;
}
