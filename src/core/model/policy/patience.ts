/** A budget for work whose cost can grow faster than its input; such work spends from it as it runs. */
export interface Patience {
  /** Its length, for messages. */
  readonly seconds: number;
  /** Spends steps of some 100 ns each. Throws OutOfPatience once it is used up. */
  spend(steps: number): void;
}

/** The budget is used up: the work stopped before its end. */
export class OutOfPatience extends Error {
  override readonly name = 'OutOfPatience';
}

/** A budget without end. */
export const ENDLESS: Patience = { seconds: Number.POSITIVE_INFINITY, spend: () => undefined };

/** The seconds that the proof of a policy's assertions may take. */
export const MAX_PROOF_SECONDS = 20;
