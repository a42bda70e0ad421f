/** Changes by others that were undone, and how long to wait before the next is. */
export interface Fight {
  /** Notes one; returns how many there were within the last minute, that one included. */
  note(): number;
  /** In milliseconds: none, unless others do it again and again. */
  patience(): number;
  /** Whether there was one within the last minute. */
  isOn(): boolean;
}

/** So many within a minute are undone at once; more are a fight, which is not won by haste. */
export const MOST_MENDS = 5;

const REMEMBERED_MILLISECONDS = 60_000;
const LONGEST_PATIENCE_MILLISECONDS = 20_000;

/** None yet. `now` is a clock in milliseconds that nobody sets. */
export function createFight(now: () => number): Fight {
  let mends: readonly number[] = [];
  const recent = (): number => mends.filter((at) => now() - at < REMEMBERED_MILLISECONDS).length;
  return {
    note() {
      mends = [...mends.slice(-5 * MOST_MENDS), now()];
      return recent();
    },
    patience() {
      const more = recent() - MOST_MENDS;
      return more <= 0 ? 0 : Math.min(500 * 2 ** more, LONGEST_PATIENCE_MILLISECONDS);
    },
    isOn: () => recent() > 0,
  };
}
