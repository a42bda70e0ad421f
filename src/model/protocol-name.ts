import type { Family } from './address.ts';

const NAMES: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 47: 'gre' };

/** A protocol by the name people have for it, else `protocol N`; what is ICMP depends on the family. */
export function protocolName(protocol: number, family: Family): string {
  if (protocol === (family === 'ipv4' ? 1 : 58)) return family === 'ipv4' ? 'icmp' : 'icmpv6';
  return NAMES[protocol] ?? `protocol ${protocol}`;
}
