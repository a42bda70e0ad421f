import type { ElementTransaction } from '../../../src/model/element-change.ts';

/** What the program in the namespace does when told. */
export interface Calls {
  applyElements(change: ElementTransaction): void;
  /** One after the other; returns how long each took, in milliseconds. */
  applyAll(changes: readonly ElementTransaction[]): readonly number[];
}

/** One request. */
export interface Call {
  readonly id: number;
  readonly name: keyof Calls;
  readonly args: readonly unknown[];
}

/** How a call failed. */
export interface CallFailure {
  readonly message: string;
  readonly failure?: string | undefined;
  readonly errno?: string | undefined;
  readonly index?: number | undefined;
}

/** The answer to a call. */
export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: CallFailure;
}
