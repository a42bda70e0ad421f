/** Lets answers be made a little at a time, between the daemon's own work. */
export interface Turns {
  /** Resolves when it is the caller's turn: each turn of the event loop is one caller's, in the order of their asking. */
  next(): Promise<void>;
}

/**
 * INVARIANT: what is done for whoever asks is done in turns, each of a fraction of a millisecond, so that events of files,
 * kernel and timers, on which enforcement depends, wait for one piece of one answer and never for all that are asked for.
 */
export function createTurns(): Turns {
  const waiting: (() => void)[] = [];
  const give = (): void => {
    waiting.shift()?.();
    // An immediate that is set by an immediate comes after the events of the loop's next round.
    if (waiting.length > 0) setImmediate(give);
  };
  return {
    next: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        if (waiting.length === 1) setImmediate(give);
      }),
  };
}
