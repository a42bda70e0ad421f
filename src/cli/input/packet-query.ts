import { UsageError } from '#cli/framework/command.ts';
import { wordList } from '#core/diagnostics/word-list.ts';
import type { Address, Family } from '#core/model/net/address.ts';
import type { Packet, PacketState } from '#core/model/packet/packet.ts';
import { icmpTypeNumber } from '#core/model/policy/icmp-names.ts';
import { icmpProtocol, PROTOCOL_WORDS, protocolNumber, selectorOf } from '#core/model/policy/protocol-lookup.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import { stateOfUnasked } from '#core/model/policy/unasked-icmp.ts';
import { parseAddress } from '#core/read/2-analyze/address-text.ts';

/** A packet as described by the options of `sgctl explain`, or by a line of JSON with `--batch`. */
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

/** The names of protocols: those of a policy, without `all`. */
export const PROTOCOL_CHOICES = PROTOCOL_WORDS.filter((word) => word !== 'all');

/** How the parts of a query are written: as options of a command line, or as keys of JSON. */
export type QueryForm = 'options' | 'json';

/**
 * The packet that a query describes, without its interface; `form` is how errors name its parts. By default its state is
 * the one that conntrack gives a packet of no flow. Throws a UsageError for an invalid query.
 */
export function readPacketQuery(query: PacketQuery, form: QueryForm): Omit<Packet, 'interface'> {
  const { oneOf, address, readProtocol, icmpTypeOf, number, nameOf } = form === 'options' ? OPTIONS : KEYS;
  const direction = oneOf<Direction>('direction', query.direction, ['inbound', 'outbound']);
  const source = address('src', query.src);
  const destination = address('dst', query.dst);
  if (source.family !== destination.family)
    throw new UsageError(`${nameOf('src')} and ${nameOf('dst')} are of different families`);
  const protocol = readProtocol(query.protocol, source.family);
  const selector = selectorOf(protocol, source.family);
  const [ports, icmp] = [selector === 'ports', selector === 'icmp'];
  const only = (key: 'sport' | 'dport' | 'icmpType' | 'icmpCode', able: boolean): void => {
    if (given(query[key]) && !able)
      throw new UsageError(`${nameOf(key)} does not go with protocol ${String(query.protocol)}`);
  };
  only('sport', ports);
  only('dport', ports);
  only('icmpType', icmp);
  only('icmpCode', icmp);
  if (ports && !given(query.dport)) throw new UsageError(`${nameOf('dport')} is missing`);
  if (icmp && !given(query.icmpType)) throw new UsageError(`${nameOf('icmpType')} is missing`);
  const icmpType = icmp ? icmpTypeOf(query.icmpType, source.family) : undefined;
  const unasked = icmpType === undefined ? 'new' : stateOfUnasked(icmpProtocol(source.family), icmpType);
  return {
    direction,
    state: given(query.state) ? oneOf('state', query.state, STATES) : unasked,
    source,
    destination,
    protocol,
    sourcePort: ports ? (number('sport', query.sport, 65_535) ?? ANY_CLIENT_PORT) : undefined,
    destinationPort: number('dport', query.dport, 65_535),
    icmpType,
    icmpCode: icmp ? (number('icmpCode', query.icmpCode, 255) ?? 0) : undefined,
    hopLimit: undefined,
  };
}

/** The default source port: one that clients use (RFC 6335). */
const ANY_CLIENT_PORT = 50_000;

function given(value: unknown): boolean {
  return value !== undefined && value !== null;
}

type QueryKey = keyof PacketQuery;

/** Readers of the parts of a query, which name a part in errors as the user wrote it. */
function readersOf(nameOf: (key: QueryKey) => string) {
  const number = (key: QueryKey, value: unknown, max: number): number | undefined => {
    if (!given(value)) return undefined;
    const text = String(value);
    if (!/^[0-9]{1,5}$/.test(text) || Number(text) > max)
      throw new UsageError(`${nameOf(key)} is a number from 0 to ${max}, not ${JSON.stringify(value)}`);
    return Number(text);
  };
  return {
    nameOf,
    number,
    oneOf: <Word extends string>(key: QueryKey, value: unknown, words: readonly Word[]): Word => {
      const word = words.find((candidate) => candidate === value);
      if (word !== undefined) return word;
      const list = wordList(words, 'or');
      return fail(
        given(value) ? `${nameOf(key)} is ${list}, not ${JSON.stringify(value)}` : `${nameOf(key)} is missing: ${list}`,
      );
    },
    address: (key: QueryKey, value: unknown): Address => {
      if (typeof value !== 'string') return fail(`${nameOf(key)} is missing: an address`);
      const parsed = parseAddress(value);
      return parsed.kind === 'problem' ? fail(`${nameOf(key)}: ${parsed.message}`) : parsed.address;
    },
    readProtocol: (value: unknown, family: Family): number => {
      const text = typeof value === 'string' ? value : '';
      return (
        protocolNumber(text, family) ??
        number('protocol', value, 255) ??
        fail(`${nameOf('protocol')} is missing: ${PROTOCOL_CHOICES.join(', ')} or a number`)
      );
    },
    icmpTypeOf: (value: unknown, family: Family): number => {
      if (typeof value === 'string' && !/^[0-9]+$/.test(value)) {
        return (
          icmpTypeNumber(family, value) ??
          fail(
            `${nameOf('icmpType')} ${JSON.stringify(value)} is not known in ${family === 'ipv4' ? 'ICMP' : 'ICMPv6'}`,
          )
        );
      }
      return number('icmpType', value, 255) ?? fail(`${nameOf('icmpType')} is missing`);
    },
  };
}

function fail(message: string): never {
  throw new UsageError(message);
}

const KEYS = readersOf((key) => key);
/** `icmpType` is `--icmp-type`. */
const OPTIONS = readersOf((key) => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
