import type { Family } from '#core/model/net/address.ts';
import {
  type FlowProtocol,
  type IcmpProtocol,
  NUMBERED_PROTOCOLS,
  type PortProtocol,
  PROTOCOLS,
  type ProtocolRow,
} from './protocols.ts';

const ROWS: readonly ProtocolRow[] = PROTOCOLS;
const BY_NUMBER = new Map(ROWS.map((row) => [row.number, row]));
type PortRow = Extract<ProtocolRow, { readonly selector: 'ports' }> & { readonly number: PortProtocol };
const PORT_ROWS = ROWS.filter((row): row is PortRow => row.selector === 'ports');

/** The words that a policy has for protocols. */
export const PROTOCOL_WORDS: readonly string[] = [...new Set(ROWS.map(({ name }) => name)), 'all'];

/** Protocols with ports that rules judge, and their words. */
export const PORT_PROTOCOLS: readonly PortProtocol[] = PORT_ROWS.map(({ number }) => number);
export const PORT_WORDS: readonly string[] = PORT_ROWS.map(({ name }) => name);

/** ICMP of each family. */
export const ICMP_PROTOCOLS: readonly IcmpProtocol[] = ROWS.filter(
  (row): row is Extract<ProtocolRow, { readonly selector: 'icmp' }> & { readonly number: IcmpProtocol } =>
    row.selector === 'icmp',
).map(({ number }) => number);

type FlowRow = PortRow & { readonly number: FlowProtocol; readonly revocation: 'connections' | 'datagrams' };
const FLOW_ROWS = PORT_ROWS.filter((row): row is FlowRow => row.revocation !== 'none');

/** Protocols whose flows are remembered once they are revoked. */
export const FLOW_PROTOCOLS: readonly FlowProtocol[] = FLOW_ROWS.map(({ number }) => number);
const DATAGRAMS = new Set<number>(FLOW_ROWS.flatMap((row) => (row.revocation === 'datagrams' ? row.number : [])));

// Asked for each of 100,000 flows: a table of bytes costs less than a set.
const WITH_FLOWS = new Uint8Array(256);
for (const number of FLOW_PROTOCOLS) WITH_FLOWS[number] = 1;

/** Whether rules judge ports of a protocol. */
export function hasPorts(protocol: number): protocol is PortProtocol {
  return BY_NUMBER.get(protocol)?.selector === 'ports';
}

/** Whether a number is that of ICMP in some family. */
export function isIcmp(protocol: number): protocol is IcmpProtocol {
  return BY_NUMBER.get(protocol)?.selector === 'icmp';
}

/** Whether flows of a protocol are remembered once they are revoked. */
export function hasFlows(protocol: number): protocol is FlowProtocol {
  return WITH_FLOWS[protocol] === 1;
}

/** Whether flows of a protocol are opened by no packet that tells so, and served by no socket that listens. */
export function isOfDatagrams(protocol: FlowProtocol): boolean {
  return DATAGRAMS.has(protocol);
}

/** The number of ICMP in a family. */
export function icmpProtocol(family: Family): IcmpProtocol {
  const found = ICMP_PROTOCOLS.find((protocol) => icmpFamily(protocol) === family);
  if (found === undefined) throw new Error(`the table of protocols has no ICMP of ${family}`);
  return found;
}

/** The family in which a number is ICMP. */
export function icmpFamily(protocol: IcmpProtocol): Family {
  const row = BY_NUMBER.get(protocol);
  if (row?.selector !== 'icmp') throw new Error(`protocol ${protocol} is no ICMP`);
  return row.family;
}

/** What packets of a protocol are told apart by in a family: nothing, where the number is ICMP in the other one. */
export function selectorOf(protocol: number, family: Family): ProtocolRow['selector'] {
  const row = BY_NUMBER.get(protocol);
  if (row === undefined || (row.selector === 'icmp' && row.family !== family)) return 'none';
  return row.selector;
}

/** nft's word for a protocol with ports or types: `tcp` as in `tcp dport`, `icmpv6` as in `icmpv6 type`. */
export function nftWord(protocol: PortProtocol | IcmpProtocol): string {
  const row = BY_NUMBER.get(protocol);
  if (row === undefined) throw new Error(`protocol ${protocol} has no word`);
  return row.nft;
}

/** What a word of a policy names: a number, or `icmp`, which is another one in each family; undefined for other words. */
export function protocolOfWord(word: string): number | 'icmp' | undefined {
  const row = ROWS.find(({ name }) => name === word);
  return row?.selector === 'icmp' ? 'icmp' : row?.number;
}

/** The number of a protocol by a policy's word for it in a family, or by nft's. */
export function protocolNumber(word: string, family: Family): number | undefined {
  const number = protocolOfWord(word);
  if (number === 'icmp') return icmpProtocol(family);
  return number ?? ROWS.find(({ nft }) => nft === word)?.number;
}

/** A protocol by the name people have for it, else `protocol N`; what is ICMP depends on the family. */
export function protocolName(protocol: number, family: Family): string {
  const row = BY_NUMBER.get(protocol);
  if (row === undefined || (row.selector === 'icmp' && row.family !== family)) return `protocol ${protocol}`;
  return row.nft;
}

/** `text` with a policy's words in place of nft's, so that what it says of both families reads alike. */
export function inPolicyWords(text: string): string {
  return ROWS.reduce((result, { nft, name }) => (nft === name ? result : result.replaceAll(nft, name)), text);
}

/** What prose calls a protocol, else `protocol N`. */
export function protocolTitle(protocol: number): string {
  const row = BY_NUMBER.get(protocol) ?? NUMBERED_PROTOCOLS.find(({ number }) => number === protocol);
  return row?.title ?? `protocol ${protocol}`;
}

/** The name of a protocol that has ports, be it one whose ports rules do not judge. */
export function portedName(protocol: number): string | undefined {
  const known = PORT_ROWS.find(({ number }) => number === protocol)?.name;
  return known ?? NUMBERED_PROTOCOLS.find(({ number, hasPorts: has }) => has && number === protocol)?.names[0];
}

/** The number that a policy writes for a protocol it has no word for. */
export function numberedProtocol(name: string): number | undefined {
  return NUMBERED_PROTOCOLS.find(({ names }) => names.includes(name))?.number;
}

/** Numbers by the names that nft and /etc/protocols print. */
export const REGISTERED_NUMBERS: Readonly<Record<string, number>> = Object.fromEntries([
  ...NUMBERED_PROTOCOLS.flatMap(({ names, number }) => names.map((name) => [name, number] as const)),
  ...ROWS.map(({ nft, number }) => [nft, number] as const),
]);
