/** Repairs per minute before backing off: beyond this, another program undoes ours on purpose, and haste does not help. */
export const MAX_PROMPT_REPAIRS = 5;

const REMEMBERED_MILLISECONDS = 60_000;
const MAX_DELAY_MILLISECONDS = 20_000;

/** Repairs and one more, at the time `now`. All times are of one clock that nobody sets, in milliseconds. */
export function withRepair(repairs: readonly number[], now: number): readonly number[] {
  return [...repairs.slice(-5 * MAX_PROMPT_REPAIRS), now];
}

/** The number of repairs within the last minute. */
export function countRecent(repairs: readonly number[], now: number): number {
  return repairs.filter((at) => now - at < REMEMBERED_MILLISECONDS).length;
}

/** How many milliseconds to wait before the next repair: none, unless there were many within the last minute. */
export function repairDelay(repairs: readonly number[], now: number): number {
  const excess = countRecent(repairs, now) - MAX_PROMPT_REPAIRS;
  return excess <= 0 ? 0 : Math.min(500 * 2 ** excess, MAX_DELAY_MILLISECONDS);
}
