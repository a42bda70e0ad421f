import { ICMP, ICMPV6, type IcmpProtocol } from './protocols.ts';

/** Advertisement and solicitation, which kernels of some years ago call invalid. */
const MULTICAST_ROUTER_DISCOVERY = [151, 152];

/**
 * ICMP types that conntrack takes for the first packet of a flow, or does not track; by protocol. Of the kernel:
 * icmp_new() in net/netfilter/nf_conntrack_proto_icmp.c, icmpv6_new() and noct_valid_new in nf_conntrack_proto_icmpv6.c.
 */
const UNASKED: Readonly<Record<IcmpProtocol, readonly number[]>> = {
  /** Echo, timestamp, information and address mask requests. */
  [ICMP]: [8, 13, 15, 17],
  /** Echo request and node information query; listener and neighbour discovery but for redirects; multicast routers. */
  [ICMPV6]: [128, 139, 130, 131, 132, 133, 134, 135, 136, 143, ...MULTICAST_ROUTER_DISCOVERY],
};

/**
 * What conntrack calls an ICMP packet that belongs to no flow: replies that nobody asked for, errors about no flow and
 * types that it does not know are invalid, and reach no rule but where `invalid: match` says so.
 */
export function stateOfUnasked(protocol: IcmpProtocol, icmpType: number): 'new' | 'invalid' {
  return UNASKED[protocol].includes(icmpType) ? 'new' : 'invalid';
}
