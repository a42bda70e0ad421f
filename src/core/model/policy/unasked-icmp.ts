import { ICMP, ICMPV6, type IcmpProtocol } from './protocols.ts';

/** Advertisement and solicitation, which older kernels call invalid. */
const MULTICAST_ROUTER_DISCOVERY = [151, 152];

/**
 * ICMP types that conntrack accepts as the first packet of a flow, or does not track; by protocol. Kernel: icmp_new() in net/netfilter/nf_conntrack_proto_icmp.c, icmpv6_new() and noct_valid_new in nf_conntrack_proto_icmpv6.c.
 */
const UNASKED: Readonly<Record<IcmpProtocol, readonly number[]>> = {
  /** Echo, timestamp, information and address mask requests. */
  [ICMP]: [8, 13, 15, 17],
  /** Echo request and node information query; listener and neighbour discovery but for redirects; multicast routers. */
  [ICMPV6]: [128, 139, 130, 131, 132, 133, 134, 135, 136, 143, ...MULTICAST_ROUTER_DISCOVERY],
};

/**
 * The conntrack state of an ICMP packet that belongs to no flow: unsolicited replies, errors about no flow and unknown
 * types are invalid, and reach the rules only with `invalid: match`.
 */
export function stateOfUnasked(protocol: IcmpProtocol, icmpType: number): 'new' | 'invalid' {
  return UNASKED[protocol].includes(icmpType) ? 'new' : 'invalid';
}
