import type { Family } from './address.ts';
import type { Interval } from './interval.ts';
import type { SimpleVerdict } from './ruleset.ts';

/** An element of a set; in a verdict map, with what it does. Chains are the kernel's names. */
export interface SetElement {
  readonly interval: Interval;
  readonly verdict: SimpleVerdict | undefined;
}

/** Elements that go out of a set or verdict map and come into it, in this order. */
export interface ElementChange {
  /** The kernel's name of the set. */
  readonly set: string;
  readonly key: Family;
  readonly interval: boolean;
  readonly removed: readonly SetElement[];
  readonly added: readonly SetElement[];
}

/** The rules that label chains consist of: test labels, or set one, and accept. */
export type LabelRule =
  | { readonly kind: 'labelled'; readonly bits: readonly number[] }
  | { readonly kind: 'label'; readonly bit: number }
  | { readonly kind: 'accept' };

/** A chain and all the rules it is to have. */
export interface ChainContent {
  /** The kernel's name of the chain. */
  readonly chain: string;
  readonly rules: readonly LabelRule[];
}

/** A change of elements and label chains as one transaction; the same as a script can say it. */
export interface DirectChange {
  readonly elements: readonly ElementChange[];
  readonly chains: readonly ChainContent[];
  /** What the marker of what is in force says afterwards; undefined leaves it. */
  readonly applied: string | undefined;
  /** Nothing refers to the sets yet, so that they may be filled in portions. */
  readonly unused: boolean;
}
