import type { Address } from '#core/model/net/address.ts';
import type { Direction } from '#core/model/policy/rule.ts';

/**
 * What conntrack says of a packet: `established` is in its flow's original direction (the flow's opener sent it),
 * `reply` in the other; `related` belongs to another flow, as an ICMP error does; `invalid` fits none.
 */
export type PacketState = 'new' | 'established' | 'reply' | 'related' | 'invalid';

/** A packet at the moment it is judged. Both addresses are of one family. */
export interface Packet {
  /** The interface it comes in by, or goes out by. */
  readonly interface: string;
  readonly direction: Direction;
  readonly state: PacketState;
  readonly source: Address;
  readonly destination: Address;
  /** IP protocol number, 0..255. */
  readonly protocol: number;
  /** TCP and UDP only. */
  readonly sourcePort: number | undefined;
  /** TCP and UDP only. */
  readonly destinationPort: number | undefined;
  /** ICMP and ICMPv6 only. */
  readonly icmpType: number | undefined;
  readonly icmpCode: number | undefined;
  /** IPv6 hop limit or IPv4 time to live; unknown is taken as what the packet's protocol prescribes. */
  readonly hopLimit: number | undefined;
}
