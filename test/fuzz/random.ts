/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** From 0 up to, and without, `end`. */
  below(end: number): number;
  /** One of some; of none, undefined. */
  of<Item>(items: readonly Item[]): Item | undefined;
}

/** Numbers from a seed, by mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  const below = (end: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  };
  return { below, of: (items) => items[below(items.length)] };
}
