import type { SimpleVerdict } from './ruleset.ts';

/** A table as read from the kernel, whichever program made its content. */
export interface ListedTable {
  readonly chains: ReadonlyMap<string, ListedChain>;
  /** The elements of sets, by name. */
  readonly sets: ReadonlyMap<string, ListedValues>;
  readonly maps: ReadonlyMap<string, readonly ListedMapElement[]>;
  /** The number of revoked flows it holds. */
  readonly revoked: number;
}

/** A chain; base chains have a hook. */
export interface ListedChain {
  readonly hook: string | undefined;
  readonly policy: 'accept' | 'drop' | undefined;
  readonly rules: readonly ListedRule[];
}

/** A rule: its expressions run in order until a test fails. */
export interface ListedRule {
  readonly steps: readonly ListedExpression[];
  /** The whole rule, for people. */
  readonly text: string;
}

/** One expression of a rule. */
export type ListedExpression =
  | {
      readonly kind: 'test';
      readonly field: string;
      /** `common`: the field and the values share a bit. */
      readonly operator: 'among' | 'notAmong' | 'common';
      readonly values: ListedValues | { readonly set: string };
    }
  | {
      readonly kind: 'map';
      readonly field: string;
      /** A named map; undefined for an anonymous one, which has `elements`. */
      readonly map: string | undefined;
      readonly elements: readonly ListedMapElement[];
    }
  | { readonly kind: 'verdict'; readonly verdict: SimpleVerdict }
  /** Matches some packets and not others, regardless of their content. */
  | { readonly kind: 'limit' }
  /** Has no influence on the verdict, such as a counter. */
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
