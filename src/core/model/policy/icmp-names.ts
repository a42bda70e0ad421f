import type { Family } from '#core/model/net/address.ts';

/** ICMP types by the names nft, iptables and the IANA registry use. https://www.iana.org/assignments/icmp-parameters */
const ICMP_TYPES: Readonly<Record<string, number>> = {
  'echo-reply': 0,
  pong: 0,
  'destination-unreachable': 3,
  'source-quench': 4,
  redirect: 5,
  'echo-request': 8,
  ping: 8,
  'router-advertisement': 9,
  'router-solicitation': 10,
  'time-exceeded': 11,
  'parameter-problem': 12,
  'timestamp-request': 13,
  'timestamp-reply': 14,
  'info-request': 15,
  'info-reply': 16,
  'address-mask-request': 17,
  'address-mask-reply': 18,
};

/** ICMPv6 types likewise. https://www.iana.org/assignments/icmpv6-parameters */
const ICMPV6_TYPES: Readonly<Record<string, number>> = {
  'destination-unreachable': 1,
  'packet-too-big': 2,
  'time-exceeded': 3,
  'parameter-problem': 4,
  'echo-request': 128,
  ping: 128,
  'echo-reply': 129,
  pong: 129,
  'mld-listener-query': 130,
  'mld-listener-report': 131,
  'mld-listener-done': 132,
  'mld-listener-reduction': 132,
  'nd-router-solicit': 133,
  'router-solicitation': 133,
  'nd-router-advert': 134,
  'router-advertisement': 134,
  'nd-neighbor-solicit': 135,
  'neighbour-solicitation': 135,
  'neighbor-solicitation': 135,
  'nd-neighbor-advert': 136,
  'neighbour-advertisement': 136,
  'neighbor-advertisement': 136,
  'nd-redirect': 137,
  redirect: 137,
  'router-renumbering': 138,
  'ind-neighbor-solicit': 141,
  'ind-neighbor-advert': 142,
  'mld2-listener-report': 143,
};

const ICMP_CODES: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  3: {
    'net-unreachable': 0,
    'network-unreachable': 0,
    'host-unreachable': 1,
    'prot-unreachable': 2,
    'protocol-unreachable': 2,
    'port-unreachable': 3,
    'frag-needed': 4,
    'fragmentation-needed': 4,
    'net-prohibited': 9,
    'host-prohibited': 10,
    'admin-prohibited': 13,
  },
  11: { 'ttl-exceeded': 0, 'reassembly-timeout': 1 },
};

const ICMPV6_CODES: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  1: {
    'no-route': 0,
    'admin-prohibited': 1,
    'addr-unreachable': 3,
    'port-unreachable': 4,
    'policy-fail': 5,
    'reject-route': 6,
  },
  3: { 'hop-limit-exceeded': 0, 'reassembly-timeout': 1 },
};

/** The names of ICMP types that `family` knows, for hints. */
export function icmpTypeNames(family: Family): readonly string[] {
  return Object.keys(family === 'ipv4' ? ICMP_TYPES : ICMPV6_TYPES);
}

/** The number of the ICMP type called `name` in `family`, if it has one. */
export function icmpTypeNumber(family: Family, name: string): number | undefined {
  const types = family === 'ipv4' ? ICMP_TYPES : ICMPV6_TYPES;
  return Object.hasOwn(types, name) ? types[name] : undefined;
}

/** The name that people know an ICMP type of `family` by, if it has one. */
export function icmpTypeName(family: Family, type: number): string | undefined {
  const named = Object.entries(family === 'ipv4' ? ICMP_TYPES : ICMPV6_TYPES);
  return named.find(([, number]) => number === type)?.[0];
}

/** The number of the ICMP code called `name` of `type` in `family`, if it has one. */
export function icmpCodeNumber(family: Family, type: number, name: string): number | undefined {
  const codes = (family === 'ipv4' ? ICMP_CODES : ICMPV6_CODES)[type];
  return codes !== undefined && Object.hasOwn(codes, name) ? codes[name] : undefined;
}

/** A type and code as people read them: `echo-request`, `destination-unreachable code 3`, `type 200`. */
export function icmpText(family: Family, type: number, code = 0): string {
  return `${icmpTypeName(family, type) ?? `type ${type}`}${code === 0 ? '' : ` code ${code}`}`;
}
