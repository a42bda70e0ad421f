import type { Address } from '#core/model/net/address.ts';

/** A packet that rules have told of. */
export interface LoggedPacket {
  /** What the rule that told of it says of itself. */
  readonly prefix: string;
  /** Where it came in, or is to go out; 0 where nobody says. */
  readonly interfaceIndex: number;
  readonly source: Address;
  readonly destination: Address;
  /** IP protocol number, 0..255. */
  readonly protocol: number;
  /** TCP and UDP only. */
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
  /** ICMP and ICMPv6 only. */
  readonly icmpType: number | undefined;
  readonly icmpCode: number | undefined;
  /** In bytes, of the whole packet. */
  readonly length: number;
}
