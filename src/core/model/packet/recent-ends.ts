import { FAMILIES, type Family } from '#core/model/net/address.ts';
import { objectName } from '#core/model/nft/object-name.ts';
import type { Action } from '#core/model/policy/rule.ts';

/*
 * A flood of packets of one other end would take all that may be logged in a second, and hide whoever else is denied. So
 * half of it is kept for ends that nothing was logged of lately: rules note of whom they log, and the kernel forgets it
 * after a while. Only what is logged is noted, so that these sets are small and no flood makes them grow; nothing that
 * becomes of a packet depends on them.
 */

/** How long an end is remembered after it was logged. */
export const RECENT_SECONDS = 60;

/** More than limits let in while an end is remembered: 20 packets a second at the most, and as many as two more at once. */
export const MAX_RECENT_ENDS = 4_096;

/** The set of other ends of `family` of which packets that rules allow or deny were logged lately. */
export function recentEnds(action: Action, family: Family): string {
  return objectName('recent', action === 'deny' ? 'denied' : 'allowed', family);
}

/** All of them, by the names they have in the ruleset and in the kernel: they outlive changes. */
export const RECENT_SETS: readonly string[] = (['deny', 'allow'] as const).flatMap((action) =>
  FAMILIES.map((family) => recentEnds(action, family)),
);
