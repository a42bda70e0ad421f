import type { SimpleVerdict } from './ruleset.ts';

/** A table as it was read from the kernel, whoever made what is in it. */
export interface ListedTable {
  readonly chains: ReadonlyMap<string, ListedChain>;
  /** The elements of sets, by name. */
  readonly sets: ReadonlyMap<string, ListedValues>;
  readonly maps: ReadonlyMap<string, readonly ListedMapElement[]>;
  /** How many flows it holds as revoked. */
  readonly revoked: number;
}

/** A chain; base chains have a hook. */
export interface ListedChain {
  readonly hook: string | undefined;
  readonly policy: 'accept' | 'drop' | undefined;
  readonly rules: readonly ListedRule[];
}

/** A rule: its steps are taken in order, until a test fails. */
export interface ListedRule {
  readonly steps: readonly ListedExpression[];
  /** All of it, for people. */
  readonly text: string;
}

/** What a rule does with a packet. */
export type ListedExpression =
  | {
      readonly kind: 'test';
      readonly field: string;
      /** `common`: a bit that both have. */
      readonly operator: 'among' | 'notAmong' | 'common';
      readonly values: ListedValues | { readonly set: string };
    }
  | {
      readonly kind: 'map';
      readonly field: string;
      /** A named map; undefined is one of its own, which has `elements`. */
      readonly map: string | undefined;
      readonly elements: readonly ListedMapElement[];
    }
  | { readonly kind: 'verdict'; readonly verdict: SimpleVerdict }
  /** It lets some packets by, and others not, whatever they are. */
  | { readonly kind: 'limit' }
  /** It decides on nothing, as counters. */
  | { readonly kind: 'aside' }
  | { readonly kind: 'unknown' };

/** Numbers, addresses as numbers among them, or names. */
export type ListedValues =
  | { readonly kind: 'numbers'; readonly ranges: readonly ListedRange[] }
  | { readonly kind: 'names'; readonly names: readonly string[] };

/** Numbers `from` to `to`, both included. */
export interface ListedRange {
  readonly from: bigint;
  readonly to: bigint;
}

/** An element of a verdict map. */
export interface ListedMapElement {
  readonly key: ListedRange | string;
  readonly verdict: SimpleVerdict;
}
