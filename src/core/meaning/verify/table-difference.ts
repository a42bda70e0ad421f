import type { Family } from '#core/model/net/address.ts';
import type { ListedRange } from '#core/model/nft/listed-table.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { Action, Direction } from '#core/model/policy/rule.ts';
import type { RuleDecision } from '#core/meaning/headerspace/rule-list.ts';
import type { TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';

/** Packets that a table judges otherwise than the policy says. */
export interface TableDifference {
  /** The interface, or the glob of them; undefined is every one that the policy does not name. */
  readonly interface: string | undefined;
  /** They come by a VRF that the policy does not name, whose member the interface is. */
  readonly inVrf: boolean;
  readonly direction: Direction;
  readonly family: Family;
  /** What conntrack says of them. */
  readonly state: Packet['state'];
  readonly traffic: TrafficAtom;
  readonly remote: ListedRange;
  readonly expected: Pick<RuleDecision, 'action' | 'rule'>;
  readonly found: Action;
  readonly witness: Packet;
}

/** An interface that is told apart from others. */
export interface NamedInterface {
  /** A name or a glob; undefined is every interface that neither the policy nor the table names. */
  readonly named: string | undefined;
  /** One of them. */
  readonly name: string;
}
