import type { FlowKey } from './flow-key.ts';

/** The TCP and UDP sockets of a host. */
export interface FlowSockets {
  /** Those that talk to one other end; `isTalking` where an end has more to say than that it ends. */
  readonly connected: ReadonlyMap<FlowKey, { readonly isTalking: boolean }>;
  /** Whether a socket is called at this host's end of a flow: one of TCP that listens, or one of UDP that is connected to nobody. */
  isServed(key: FlowKey): boolean;
}
