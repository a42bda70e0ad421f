import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { SimpleVerdict } from './ruleset.ts';

/** What one transaction does to elements, in the kernel's names: what changes often, where no set or base chain comes or goes. */
export interface ElementTransaction {
  /** The family and the name of the table, as `inet secgroupd`. */
  readonly table: string;
  readonly changes: readonly ElementChange[];
  readonly rules: readonly ChainContent[];
  readonly applied: AppliedMark | undefined;
}

/** Elements that leave and elements that join one set or verdict map; what leaves makes room for what joins. */
export interface ElementChange {
  readonly set: string;
  readonly key: Family;
  /** Whether the set holds ranges; a set that does not holds single addresses only. */
  readonly interval: boolean;
  /** Each is in the set now, with just these ends. */
  readonly removed: readonly Element[];
  /** None is in the set once `removed` has left it. */
  readonly added: readonly Element[];
}

/** An element of a set, or of a verdict map if it has a verdict. */
export interface Element {
  readonly interval: Interval;
  /** Undefined in sets. A chain is called by the kernel's name. */
  readonly verdict: SimpleVerdict | undefined;
}

/** All rules of a chain, which take the place of those that it has. */
export interface ChainContent {
  readonly chain: string;
  readonly rules: readonly LabelRule[];
}

/** A rule about a flow's conntrack label, whose bits are 0..127, or one that accepts whatever the label. */
export type LabelRule =
  /** Accepts packets of flows that have at least one of the bits set. */
  | { readonly kind: 'labelled'; readonly bits: readonly number[]; readonly verdict: 'accept' }
  /** Sets the bit and accepts. */
  | { readonly kind: 'label'; readonly bit: number; readonly verdict: 'accept' }
  | { readonly kind: 'accept' };

/** The set whose one element, 1, tells in its comment what is in force. */
export interface AppliedMark {
  readonly set: string;
  /** At most 127 bytes. */
  readonly comment: string;
}
