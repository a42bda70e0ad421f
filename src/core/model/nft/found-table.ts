import type { SimpleVerdict } from './ruleset.ts';

/** A table as it was read from the kernel, whoever made what is in it. */
export interface FoundTable {
  readonly chains: ReadonlyMap<string, FoundChain>;
  /** The elements of sets, by name. */
  readonly sets: ReadonlyMap<string, FoundValues>;
  readonly maps: ReadonlyMap<string, readonly FoundMapElement[]>;
  /** How many flows it holds as revoked. */
  readonly revoked: number;
}

/** A chain; base chains have a hook. */
export interface FoundChain {
  readonly hook: string | undefined;
  readonly policy: 'accept' | 'drop' | undefined;
  readonly rules: readonly FoundRule[];
}

/** A rule: its steps are taken in order, until a test fails. */
export interface FoundRule {
  readonly steps: readonly FoundStep[];
  /** All of it, for people. */
  readonly text: string;
}

/** What a rule does with a packet. */
export type FoundStep =
  | {
      readonly kind: 'test';
      readonly field: string;
      /** `common`: a bit that both have. */
      readonly operator: 'among' | 'notAmong' | 'common';
      readonly values: FoundValues | { readonly set: string };
    }
  | {
      readonly kind: 'map';
      readonly field: string;
      /** A named map; undefined is one of its own, which has `elements`. */
      readonly map: string | undefined;
      readonly elements: readonly FoundMapElement[];
    }
  | { readonly kind: 'verdict'; readonly verdict: SimpleVerdict }
  /** It lets some packets by, and others not, whatever they are. */
  | { readonly kind: 'limit' }
  /** It decides on nothing, as counters. */
  | { readonly kind: 'aside' }
  | { readonly kind: 'unknown' };

/** Numbers, addresses as numbers among them, or names. */
export type FoundValues =
  | { readonly kind: 'numbers'; readonly ranges: readonly FoundRange[] }
  | { readonly kind: 'names'; readonly names: readonly string[] };

/** Numbers `from` to `to`, both included. */
export interface FoundRange {
  readonly from: bigint;
  readonly to: bigint;
}

/** An element of a verdict map. */
export interface FoundMapElement {
  readonly key: FoundRange | string;
  readonly verdict: SimpleVerdict;
}
