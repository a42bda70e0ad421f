import type { LocalAddresses } from '#core/meaning/evaluate/own-address.ts';
import type { Family } from '#core/model/net/address.ts';
import type { ListedRange, ListedValues } from '#core/model/nft/listed-table.ts';
import { REGISTERED_NUMBERS } from '#core/model/policy/protocol-lookup.ts';
import { TCP } from '#core/model/policy/protocols.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import { transportField } from './transport-field.ts';

/** Packets that differ only in the address of their remote end. */
export interface PacketTemplate {
  readonly direction: Direction;
  readonly interface: string;
  /** The member of a VRF that the packets came in by, if `interface` is that VRF. */
  readonly member?: string;
  readonly family: Family;
  /** The address of the host's end. */
  readonly local: bigint;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly icmpType: number;
  readonly icmpCode: number;
  readonly state: 'new' | 'established' | 'related' | 'invalid';
  readonly flowDirection: 'original' | 'reply';
  readonly hopLimit: number;
  /** Addresses of the host. */
  readonly own: LocalAddresses;
}

/** Which end of the packets an address field is; undefined for fields that are no addresses. */
export function addressEnd(
  field: string,
  { family, direction }: PacketTemplate,
): 'remote' | 'local' | 'other family' | undefined {
  const match = /^(ip6?)\.(saddr|daddr)$/.exec(field);
  if (match === null) return undefined;
  if ((match[1] === 'ip') !== (family === 'ipv4')) return 'other family';
  return (match[2] === 'saddr') === (direction === 'inbound') ? 'remote' : 'local';
}

/** The name in a field that holds one; undefined for other fields. */
export function nameIn(field: string, { interface: name, member }: PacketTemplate): string | undefined {
  switch (field) {
    case 'iifname':
    case 'oifname':
      return name;
    case 'sdifname':
      return member ?? '';
    // Outbound packets are traced as those of no VRF; for a VRF they pass the hook again, as the member's.
    case 'oifkind':
      return '';
    default:
      return undefined;
  }
}

/** The number in a field; `none` if the packets have no such field, undefined if the field is not known. */
export function valueIn(field: string, template: PacketTemplate): bigint | 'none' | undefined {
  switch (field) {
    case 'nfproto':
      return template.family === 'ipv4' ? 2n : 10n;
    case 'l4proto':
      return BigInt(template.protocol);
    case 'ip6.hoplimit':
      return template.family === 'ipv6' ? BigInt(template.hopLimit) : 'none';
    case 'ip.ttl':
      return template.family === 'ipv4' ? BigInt(template.hopLimit) : 'none';
    case 'ct.state':
      return BigInt(CT_STATES[template.state]);
    case 'ct.direction':
      // A packet that belongs to no flow has no direction.
      return template.state === 'invalid' ? 'none' : template.flowDirection === 'original' ? 0n : 1n;
    case 'ct.status':
      // An ICMP error about a flow that a helper announced has the status of that flow.
      return template.state === 'related' ? 1n : 0n;
    case 'ct.label':
      return 0n;
    // The packets are to or from an address of the host.
    case 'fib.daddr.type':
      return LOCAL;
    case 'pkttype':
      return 0n;
    case 'sdif':
      return template.member === undefined ? 0n : SOME_INDEX;
    case 'ip.saddr':
    case 'ip.daddr':
    case 'ip6.saddr':
    case 'ip6.daddr':
      return template.local;
    default:
      return transportValue(field, template);
  }
}

/** The number in a field of the transport header. */
function transportValue(field: string, template: PacketTemplate): bigint | 'none' | undefined {
  const known = transportField(field);
  // Of other fields only TCP's flags are known: the first segment of a connection has SYN alone.
  if (known === undefined) {
    if (!field.startsWith('tcp.')) return undefined;
    return field.startsWith('tcp.flags & ') && template.protocol === TCP ? SYN : 'none';
  }
  if (known.protocol !== template.protocol) return 'none';
  switch (known.kind) {
    case 'port':
      return BigInt(known.end === 'source' ? template.sourcePort : template.destinationPort);
    case 'icmp':
      if (known.family !== template.family) return 'none';
      return BigInt(known.part === 'type' ? template.icmpType : template.icmpCode);
  }
}

const SYN = 2n;

/** Any index but 0: rules only ask whether there is one. */
const SOME_INDEX = 1n;

const CT_STATES = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 };

/** Types of addresses, as routes have them: include/uapi/linux/rtnetlink.h. */
const ADDRESS_TYPES = { unicast: 1, local: 2, broadcast: 3, anycast: 4, multicast: 5 };

/** The type of the host's own addresses. */
export const LOCAL = BigInt(ADDRESS_TYPES.local);

const NUMBERS_BY_NAME: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  nfproto: { ipv4: 2, ipv6: 10 },
  l4proto: REGISTERED_NUMBERS,
  'ct.state': CT_STATES,
  'ct.direction': { original: 0, reply: 1 },
  'ct.status': { expected: 1, dnat: 32 },
  'fib.saddr.type': ADDRESS_TYPES,
  'fib.saddr.iif.type': ADDRESS_TYPES,
  'fib.daddr.type': ADDRESS_TYPES,
  pkttype: { host: 0, unicast: 0, broadcast: 1, multicast: 2, other: 3 },
};

/** The numbers that a rule tests a field for; some versions of nft print names for them. Undefined if a name is not known. */
export function numbersOf(field: string, values: ListedValues): readonly ListedRange[] | undefined {
  if (values.kind === 'numbers') return values.ranges;
  const numbers = values.names.map((name) => (/^\d+$/.test(name) ? Number(name) : NUMBERS_BY_NAME[field]?.[name]));
  if (numbers.includes(undefined)) return undefined;
  return numbers.map((number) => ({ from: BigInt(number ?? 0), to: BigInt(number ?? 0) }));
}
