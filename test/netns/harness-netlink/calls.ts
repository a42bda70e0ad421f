import type { Element, ElementTransaction } from '#core/model/nft/element-change.ts';
import type { ClearedLabels } from '#kernel/conntrack/flow-labels.ts';
import type { ElementSet } from '#kernel/nftables/encode-elements.ts';

/** UDP flows over loopback, one a port. */
export interface Flows {
  /** Where they go; to the loopback address unless told. */
  readonly address?: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly firstPort: number;
  readonly lastPort: number;
}

/** What the program in the namespace does when told. */
export interface Calls {
  applyElements(change: ElementTransaction): void;
  /** The same, and closes the socket while it waits for the answer. */
  applyAndClose(change: ElementTransaction): void;
  /** Has the kernel judge that an element joins a set of single addresses. */
  rehearse(set: ElementSet, element: Element): void;
  /** Returns how often the event loop came round meanwhile. */
  fillSet(set: ElementSet, elements: readonly Element[]): number;
  /** Sends a datagram of each flow, always from the same port. */
  sendDatagrams(flows: Flows): void;
  clearFlowLabels(bits: readonly number[], passes?: number): ClearedLabels;
  /** The same, and all flows go after they were listed. */
  clearLabelsOfGone(bits: readonly number[]): ClearedLabels;
  labelsSupported(): boolean;
  routeLookupsSupported(): boolean;
  /** How many flows conntrack knows. */
  countFlows(): number;
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
