import { parseAddress } from '../2-analyze/address-text.ts';
import { icmpTypeNumber } from '../2-analyze/icmp-names.ts';
import type { Address, Family } from '../model/address.ts';
import type { Packet, PacketState } from '../model/packet.ts';
import type { Direction } from '../model/rule.ts';
import { UsageError } from './command.ts';

/** A packet as a person or a script describes it: options of `sgctl explain`, or one JSON object a line with `--batch`. */
export interface PacketQuery {
  readonly direction?: unknown;
  readonly protocol?: unknown;
  readonly src?: unknown;
  readonly dst?: unknown;
  readonly sport?: unknown;
  readonly dport?: unknown;
  readonly icmpType?: unknown;
  readonly icmpCode?: unknown;
  readonly state?: unknown;
}

const STATES: readonly PacketState[] = ['new', 'established', 'reply', 'related', 'invalid'];
const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, gre: 47, icmpv6: 58 };

/** The packet that a query describes, its interface left open. Throws a UsageError that says what is wrong. */
export function readPacketQuery(query: PacketQuery): Omit<Packet, 'interface'> {
  const direction = oneOf<Direction>('direction', query.direction, ['inbound', 'outbound']);
  const source = address('src', query.src);
  const destination = address('dst', query.dst);
  if (source.family !== destination.family) throw new UsageError('src and dst are of different families');
  const protocol = protocolNumber(query.protocol, source.family);
  const ports = protocol === 6 || protocol === 17;
  const icmp = protocol === (source.family === 'ipv4' ? 1 : 58);
  const only = (key: 'sport' | 'dport' | 'icmpType' | 'icmpCode', able: boolean): void => {
    if (given(query[key]) && !able) throw new UsageError(`${key} does not go with protocol ${String(query.protocol)}`);
  };
  only('sport', ports);
  only('dport', ports);
  only('icmpType', icmp);
  only('icmpCode', icmp);
  if (ports && !given(query.dport)) throw new UsageError('dport is missing');
  if (icmp && !given(query.icmpType)) throw new UsageError('icmpType is missing');
  return {
    direction,
    state: given(query.state) ? oneOf('state', query.state, STATES) : 'new',
    source,
    destination,
    protocol,
    sourcePort: ports ? (number('sport', query.sport, 65_535) ?? ANY_CLIENT_PORT) : undefined,
    destinationPort: number('dport', query.dport, 65_535),
    icmpType: icmp ? icmpType(query.icmpType, source.family) : undefined,
    icmpCode: icmp ? (number('icmpCode', query.icmpCode, 255) ?? 0) : undefined,
    hopLimit: undefined,
  };
}

/** The source port of a query that leaves it out: one of those that clients use (RFC 6335). */
const ANY_CLIENT_PORT = 50_000;

function given(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function oneOf<Word extends string>(key: string, value: unknown, words: readonly Word[]): Word {
  const word = words.find((one) => one === value);
  if (word === undefined)
    throw new UsageError(`${key} is one of ${words.join(', ')}${given(value) ? `, not ${JSON.stringify(value)}` : ''}`);
  return word;
}

function address(key: string, value: unknown): Address {
  if (typeof value !== 'string') throw new UsageError(`${key} is missing: an address`);
  const parsed = parseAddress(value);
  if (parsed.kind === 'problem') throw new UsageError(`${key}: ${parsed.message}`);
  return parsed.address;
}

function protocolNumber(value: unknown, family: Family): number {
  const text = typeof value === 'string' ? value : '';
  if (text === 'icmp') return family === 'ipv4' ? 1 : 58;
  return (
    PROTOCOLS[text] ?? number('protocol', value, 255) ?? missing('protocol is missing: tcp, udp, icmp, gre or a number')
  );
}

function icmpType(value: unknown, family: Family): number {
  if (typeof value === 'string' && !/^[0-9]+$/.test(value)) {
    return icmpTypeNumber(family, value) ?? missing(`icmpType ${JSON.stringify(value)} is not known in ${family}`);
  }
  return number('icmpType', value, 255) ?? missing('icmpType is missing');
}

function number(key: string, value: unknown, most: number): number | undefined {
  if (!given(value)) return undefined;
  const text = String(value);
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > most)
    throw new UsageError(`${key} is a number from 0 to ${most}, not ${JSON.stringify(value)}`);
  return Number(text);
}

function missing(message: string): never {
  throw new UsageError(message);
}
