import type { RuleDecision } from '#core/meaning/headerspace/rule-list.ts';
import type { TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import type { Family } from '#core/model/net/address.ts';
import type { ListedRange } from '#core/model/nft/listed-table.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { Action, Direction } from '#core/model/policy/rule.ts';

/** Packets that a table handles otherwise than the policy says. */
export interface TableDifference {
  /** The interface, or the glob of them; undefined is every one that the policy does not name. */
  readonly interface: string | undefined;
  /** Whether the packets come in by a VRF that the policy does not name, and the interface is its member. */
  readonly inVrf: boolean;
  readonly direction: Direction;
  readonly family: Family;
  /** What conntrack says of the packets. */
  readonly state: Packet['state'];
  readonly traffic: TrafficAtom;
  readonly remote: ListedRange;
  readonly expected: Pick<RuleDecision, 'action' | 'rule'>;
  readonly found: Action;
  readonly witness: Packet;
}

/** An interface class, and an interface of it. */
export interface NamedInterface {
  /** A name or a glob; undefined is every interface that neither the policy nor the table names. */
  readonly named: string | undefined;
  /** The name of an interface of the class. */
  readonly name: string;
}
