import type { Ruleset } from './ruleset.ts';

/**
 * What the kernel holds of ours. Chains and sets carry the generation in which they were made in their names,
 * so that a new generation is filled beside the old one before packets meet it.
 */
export interface InForce {
  /** Counts the changes made to the table, from 1. */
  readonly generation: number;
  /** Identifies the whole content; two tables of one stamp mean the same. */
  readonly stamp: string;
  /** The ruleset; undefined where the table was found in the kernel rather than put there by this process. */
  readonly ruleset: Ruleset | undefined;
  /** The kernel's names of our sets, by the ruleset's names; maps left out. */
  readonly sets: ReadonlyMap<string, string>;
  /** The kernel's names of our verdict maps, which are made anew with the chains they lead to. */
  readonly maps: readonly string[];
  /** The kernel's names of our chains, base chains left out. */
  readonly chains: readonly string[];
}

/**
 * What a change begins from: our table, or none. `untracked` is none, in a network namespace in which conntrack is not
 * in use either, so that the change is what turns it on; undefined is none, and somebody may be tracking flows.
 */
export type Before = InForce | 'untracked' | undefined;
