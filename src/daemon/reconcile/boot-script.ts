import type { Logger } from 'pino';
import type { LastGood } from '#host/state/last-good.ts';
import type { Script } from '#core/model/nft/script.ts';
import type { Nft } from '#kernel/nftables/nft.ts';
import type { RenderedChange } from '#core/translate/6-change/render-change.ts';

/** The script that boots the host, kept in step with what is in force. */
export interface BootScript {
  /** Whether what is kept may be another than what is in force. */
  isStale(): boolean;
  /** What is to be done before a change is in force, and after; neither throws. */
  keep(rendered: RenderedChange, fallback: () => Script): Keeping;
  /** Says that something comes into force which is not to be kept. */
  leaveBehind(): void;
  /** Loads what is kept; false where nothing is. Throws an NftError, and what reading throws. */
  load(): Promise<boolean>;
}

/** The two halves of keeping a change. */
export interface Keeping {
  before(): Promise<void>;
  after(): Promise<void>;
}

/** What keeping goes by. */
export interface BootScriptOptions {
  readonly lastGood: LastGood;
  readonly nft: Nft;
  /** Whether a step was done; trouble with one is told, and keeps nothing out of force. */
  readonly saving: (step: () => Promise<boolean | void>) => Promise<boolean>;
  readonly log: Logger;
}

/** The boot script of a daemon that has just started. */
export function createBootScript({ lastGood, nft, saving, log }: BootScriptOptions): BootScript {
  // Until it is written by this process: the one before may have ended amid a change.
  let isStale = true;
  return {
    isStale: () => isStale,
    keep({ change, whole }, fallback) {
      let saved: 'added' | 'prepared' | undefined;
      return {
        // INVARIANT: what is applied was first written to disk, and takes the last good one's place once it is applied.
        async before() {
          const canAdd = change.kind === 'elements' && !isStale;
          if (canAdd && (await saving(() => lastGood.append(change.addition)))) saved = 'added';
          else if (await saving(() => lastGood.prepare(whole()))) saved = 'prepared';
        },
        async after() {
          const isCommitted = saved === 'prepared' && (await saving(() => lastGood.commit()));
          isStale = !isCommitted && saved !== 'added';
          if (isCommitted) await saving(() => lastGood.keepFallback(fallback()));
        },
      };
    },
    leaveBehind() {
      isStale = true;
    },
    async load() {
      const script = await lastGood.read();
      if (script === undefined) return false;
      await nft.run(script.whole);
      if (script.changes.length === 0) return true;
      // Without the changes of members since, it is what was in force a while ago, and better than nothing.
      await nft.run(script.changes).catch((error: unknown) => {
        log.warn({ err: error }, 'the members last in force could not be loaded: those before them are');
      });
      return true;
    },
  };
}
