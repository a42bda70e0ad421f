import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import type { TrafficAtom } from './traffic-atoms.ts';

/** Packets of new flows in one direction: every combination of `traffic` and `remotes` (Batfish: a header space). */
export interface PacketSet {
  readonly direction: Direction;
  readonly family: Family;
  /** `all` is every protocol. */
  readonly traffic: readonly TrafficAtom[] | 'all';
  /** Sources of inbound packets, destinations of outbound ones; disjoint and ascending; `any` is every address. */
  readonly remotes: readonly Interval[] | 'any';
}
