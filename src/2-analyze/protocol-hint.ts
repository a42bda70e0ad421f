import { didYouMean } from '../diagnostics/did-you-mean.ts';
import { servicePort } from './service-ports.ts';

/** The protocols that policies call by name. */
const PROTOCOL_NAMES: readonly string[] = ['tcp', 'udp', 'icmp', 'gre', 'all'];

/** Others by the names of /etc/protocols, which policies write as numbers. */
const NUMBERS: Readonly<Record<string, number>> = {
  igmp: 2,
  ipip: 4,
  ipencap: 4,
  dccp: 33,
  ipv6: 41,
  esp: 50,
  ah: 51,
  eigrp: 88,
  ospf: 89,
  pim: 103,
  vrrp: 112,
  carp: 112,
  l2tp: 115,
  sctp: 132,
  udplite: 136,
};

/** What other tools write for every protocol. */
const ALL: readonly string[] = ['any', '*', '-1', 'ip', 'every'];

/** What to write instead of a protocol that is none. */
export function protocolHint(text: string): string {
  const lower = text.trim().toLowerCase();
  if (PROTOCOL_NAMES.includes(lower)) return `write \`${lower}\``;
  if (ALL.includes(lower)) return 'write `all` for every protocol, or leave `protocol` out';
  if (/^(?:icmp-?v?6|ipv6-icmp)$/.test(lower)) return 'write `protocol: icmp` with `type: ipv6`';
  if (Object.hasOwn(NUMBERS, lower)) return `write its number: \`protocol: ${NUMBERS[lower]}\``;
  const several = lower.split(/[^a-z]+/).filter((word) => word !== '');
  if (several.length > 1 && several.every((word) => PROTOCOL_NAMES.includes(word)))
    return `write a rule for each: ${several.map((word) => `\`protocol: ${word}\``).join(', ')}`;
  const port = servicePort(lower);
  if (port !== undefined) return `it is a service: write \`protocol: tcp\` (or \`udp\`) with \`ports: ${port}\``;
  const near = didYouMean(lower, PROTOCOL_NAMES);
  return near === undefined
    ? 'write tcp, udp, icmp, gre, all or a protocol number 0 to 255'
    : `did you mean \`${near}\`?`;
}
