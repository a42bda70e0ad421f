import { setTimeout as sleep } from 'node:timers/promises';

/** How to wait. */
export interface UntilOptions {
  /** Milliseconds; 5,000 unless told. */
  readonly within?: number;
  /** Milliseconds between two looks; 10 unless told. */
  readonly every?: number;
  /** Told with the failure: what there was instead. */
  readonly instead?: () => unknown;
}

/** Looks until `look` gives something other than undefined or false, and returns that. Throws when time is up. */
export async function until<Found>(
  what: string,
  look: () => Promise<Found | undefined | false> | Found | undefined | false,
  { within = 5_000, every = 10, instead }: UntilOptions = {},
): Promise<Found> {
  const deadline = performance.now() + within;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) {
      const there = instead === undefined ? '' : `; there was ${JSON.stringify(instead())}`;
      throw new Error(`not within ${within} ms: ${what}${there}`);
    }
    await sleep(every);
  }
}
