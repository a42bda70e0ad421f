import type { Address } from '#core/model/net/address.ts';

/** A flow that the kernel tracks, as its opener's packets are when this host judges them. */
export interface Flow {
  /** IP protocol number, 0..255. */
  readonly protocol: number;
  readonly source: Address;
  readonly destination: Address;
  /** TCP and UDP only. */
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
  /** ICMP and ICMPv6 only: of the request. */
  readonly icmpType: number | undefined;
  readonly icmpCode: number | undefined;
}
