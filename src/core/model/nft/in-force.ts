import type { AddressMap, AddressSet } from './ruleset.ts';

/** A chain, set or map that changes with the rules alone, as it was rendered: all of it but its own name. */
export interface RenderedObject {
  readonly kind: 'chain' | 'set' | 'map';
  /** With the ruleset's names of what it refers to. */
  readonly text: string;
  /** With the kernel's names. */
  readonly body: string;
  /** The kernel's name. */
  readonly kernel: string;
}

/** A set or map that changes by element, and what it holds. */
export interface DynamicSet {
  readonly set: AddressSet | AddressMap;
  readonly kernel: string;
}

/** What this process put into the kernel, by the ruleset's names. */
export interface Rendered {
  readonly objects: ReadonlyMap<string, RenderedObject>;
  readonly dynamic: ReadonlyMap<string, DynamicSet>;
  /** Identifies the ruleset but for the elements of sets that change by element. */
  readonly structure: string;
  readonly chainSets: readonly string[];
  /** How many rules there are, of all chains. */
  readonly rules: number;
}

/**
 * Which labels of flows are in use. `none`: rules neither test nor set them, and flows may have any. `unknown`: the rules
 * in force may use any of them. Else so many have been used, from 0 on, since all flows were freed of them.
 */
export type LabelsInUse = 'none' | 'unknown' | { readonly used: number };

/**
 * What the kernel holds of ours. Chains and sets carry the generation in which they were made in their names,
 * so that a new generation is filled beside the old one before packets meet it.
 */
export interface InForce {
  /** Counts the changes made to the table, from 1. */
  readonly generation: number;
  /** Identifies the whole content; two tables of one contentHash mean the same. */
  readonly contentHash: string;
  /** Undefined where the table was found in the kernel rather than put there by this process. */
  readonly rendered: Rendered | undefined;
  readonly labels: LabelsInUse;
  /** The kernel's names of our sets. */
  readonly sets: readonly string[];
  /** The kernel's names of our verdict maps. */
  readonly maps: readonly string[];
  /** The kernel's names of our chains, base chains left out. */
  readonly chains: readonly string[];
}

/**
 * What a change begins from: our table, or none. `untracked` is none, in a network namespace in which conntrack is not
 * in use either, so that the change is what turns it on; undefined is none, and somebody may be tracking flows.
 */
export type Before = InForce | 'untracked' | undefined;
