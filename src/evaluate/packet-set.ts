import type { Family } from '../model/address.ts';
import type { Interval } from '../model/interval.ts';
import type { Direction } from '../model/rule.ts';
import type { TrafficClass } from './traffic-classes.ts';

/** Packets of new flows in one direction: every combination of the traffic and the remotes. */
export interface PacketSet {
  readonly direction: Direction;
  readonly family: Family;
  /** `all` is every protocol. */
  readonly traffic: readonly TrafficClass[] | 'all';
  /** Sources of inbound packets, destinations of outbound ones; disjoint and ascending; `any` is every address. */
  readonly remotes: readonly Interval[] | 'any';
}
