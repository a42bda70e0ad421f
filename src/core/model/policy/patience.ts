/** How much work is waited for. It is asked amid all work that grows faster than what the work is about. */
export interface Patience {
  /** How long it lasts, for messages. */
  readonly seconds: number;
  /** Notes steps of work of some 100 ns each. Throws OutOfPatience where it has been enough. */
  spend(steps: number): void;
}

/** Work stopped before its end, for nobody waits any longer. */
export class OutOfPatience extends Error {
  override readonly name = 'OutOfPatience';
}

/** Waits to the end. */
export const ENDLESS: Patience = { seconds: Number.POSITIVE_INFINITY, spend: () => undefined };

/** How many seconds the proof of a policy's assertions may take. */
export const MAX_PROOF_SECONDS = 20;
