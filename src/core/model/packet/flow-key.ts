import type { Family } from '#core/model/net/address.ts';
import { FLOW_PROTOCOLS } from '#core/model/policy/protocol-lookup.ts';
import type { FlowProtocol } from '#core/model/policy/protocols.ts';

/**
 * A TCP or UDP flow between an address of this host and another one, whoever opened it: the bytes of an element of the
 * sets of revoked flows, as characters 0 to 255. A text, because maps find texts fast, and there can be 100,000 of them.
 */
export type FlowKey = string & { readonly flowKey: never };

// Each field of a concatenation fills whole words of 32 bits: protocol, local address, local port, remote address, remote port.
const WORD = 4;
const PADDING = '\0\0';
const PROTOCOL_WORD = Object.fromEntries(
  FLOW_PROTOCOLS.map((protocol) => [protocol, `${String.fromCharCode(protocol)}\0\0\0`]),
) as Readonly<Record<FlowProtocol, string>>;
const IPV4_KEY_LENGTH = 5 * WORD;

/** One end of a flow: address and port in the network's order of bytes, each byte a character. */
export interface FlowEnd {
  /** 4 or 16 characters. */
  readonly address: string;
  /** 2 characters. */
  readonly port: string;
}

/** The key of the flow between two ends whose addresses are of one family. */
export function flowKey(protocol: FlowProtocol, local: FlowEnd, remote: FlowEnd): FlowKey {
  return (PROTOCOL_WORD[protocol] +
    local.address +
    local.port +
    PADDING +
    remote.address +
    remote.port +
    PADDING) as FlowKey;
}

/** The family of a flow's addresses. */
export function familyOfFlow(key: FlowKey): Family {
  return key.length === IPV4_KEY_LENGTH ? 'ipv4' : 'ipv6';
}

/** The protocol of a flow. */
export function protocolOfFlow(key: FlowKey): FlowProtocol {
  return key.charCodeAt(0) as FlowProtocol;
}

/** This host's end of a flow. */
export function localEndOf(key: FlowKey): FlowEnd {
  const end = WORD + addressLength(key);
  return { address: key.slice(WORD, end), port: key.slice(end, end + 2) };
}

/** The other end of a flow. */
export function remoteEndOf(key: FlowKey): FlowEnd {
  const begin = 2 * WORD + addressLength(key);
  const end = begin + addressLength(key);
  return { address: key.slice(begin, end), port: key.slice(end, end + 2) };
}

/** The number that a port's two characters are. */
export function portNumber(port: string): number {
  return port.charCodeAt(0) * 256 + port.charCodeAt(1);
}

/** The two characters of a port. */
export function portCharacters(port: number): string {
  return String.fromCharCode(port >> 8, port & 255);
}

/** The number that an address's characters are. */
export function addressNumber(address: string): bigint {
  if (address.length === WORD) {
    const [a, b, c, d] = [0, 1, 2, 3].map((at) => address.charCodeAt(at)) as [number, number, number, number];
    return BigInt(a * 0x100_0000 + b * 0x1_0000 + c * 0x100 + d);
  }
  let value = 0n;
  for (let at = 0; at < address.length; at += 2)
    value = (value << 16n) | BigInt(address.charCodeAt(at) * 256 + address.charCodeAt(at + 1));
  return value;
}

/** The characters of an address that is the number `value`. */
export function addressCharacters(family: Family, value: bigint): string {
  const bytes = family === 'ipv4' ? 4 : 16;
  let text = '';
  for (let rest = value, at = 0; at < bytes; at += 1, rest >>= 8n)
    text = String.fromCharCode(Number(rest & 255n)) + text;
  return text;
}

function addressLength(key: FlowKey): number {
  return key.length === IPV4_KEY_LENGTH ? WORD : 4 * WORD;
}
