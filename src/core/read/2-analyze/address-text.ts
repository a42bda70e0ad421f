import ipaddr from 'ipaddr.js';
import { quote } from '#core/diagnostics/quote.ts';
import { type Address, addressBits, addressFromBytes, formatAddress } from '#core/model/net/address.ts';
import { formatInterval, type Interval } from '#core/model/net/interval.ts';
import { addressHint } from './address-hint.ts';

/** Why a text is not an address, CIDR or range, and what to write instead. */
export interface AddressProblem {
  readonly kind: 'problem';
  readonly message: string;
  readonly help: string | undefined;
}

/** An accepted text; `normalised` is the network of a CIDR that had host bits set, else undefined. */
export interface AddressText {
  readonly kind: 'interval';
  readonly interval: Interval;
  readonly normalised: string | undefined;
}

/** Reads an address, a CIDR or a range `first-last`, of either family. */
export function parseInterval(text: string): AddressText | AddressProblem {
  const parsed = readInterval(text);
  return parsed.kind === 'problem' ? hinted(text, parsed) : parsed;
}

/** The problem found, or, if all of `text` is a form of other tools, a hint for that form. */
function hinted(text: string, found: AddressProblem): AddressProblem {
  const help = addressHint(text);
  return help === undefined ? found : problem(`${quote(text)} is not an address, a CIDR or a range`, help);
}

function readInterval(text: string): AddressText | AddressProblem {
  if (text.includes('-')) return parseRange(text);
  if (text.includes('/')) return parseCidr(text);
  const address = parseAddress(text);
  if (address.kind === 'problem') return address;
  return { kind: 'interval', interval: single(address.address), normalised: undefined };
}

/** Reads one address: without a prefix length (except the full one), zone or IPv4 mapped into IPv6. */
export function parseAddress(text: string): OneAddress | AddressProblem {
  const parsed = readAddress(text);
  return parsed.kind === 'problem' && parsed.help === undefined ? hinted(text, parsed) : parsed;
}

interface OneAddress {
  readonly kind: 'address';
  readonly address: Address;
}

function readAddress(text: string): OneAddress | AddressProblem {
  const slash = text.indexOf('/');
  if (slash >= 0) {
    const parsed = parseCidr(text);
    if (parsed.kind === 'problem') return parsed;
    const { family, from, to } = parsed.interval;
    const host = text.slice(0, slash);
    // `0.0.0.0/0` begins with an address that no host has.
    const help = from === 0n ? 'write the address that other hosts see' : `write \`${host}\``;
    if (from !== to) return problem(`${quote(text)} is a network, and one address is wanted`, help);
    return { kind: 'address', address: { family, value: from } };
  }
  if (text.includes('%')) {
    return problem(
      `${quote(text)} has a zone id`,
      `write ${quote(text.slice(0, text.indexOf('%')))}: rules belong to an interface already`,
    );
  }
  const address = readBytes(text);
  if (address === undefined) return notAnAddress(text);
  if (address.family === 'ipv6' && address.value >> 32n === 0xffffn) {
    const v4 = formatAddress({ family: 'ipv4', value: address.value & 0xffffffffn });
    return problem(`${quote(text)} is an IPv4 address mapped into IPv6`, `write \`${v4}\``);
  }
  return { kind: 'address', address };
}

function readBytes(text: string): Address | undefined {
  const ipv4 = dottedQuad(text);
  if (ipv4 !== undefined) return { family: 'ipv4', value: BigInt(ipv4) };
  if (text.includes(':') && ipaddr.IPv6.isValid(text))
    return addressFromBytes(Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray()));
  return undefined;
}

/**
 * Reads IPv4 in its one usual form, four decimal numbers without leading zeros. Written by hand, since lists have up to a
 * million of them, and a library that also reads octal, hexadecimal and shortened forms takes ten times as long.
 */
function dottedQuad(text: string): number | undefined {
  let value = 0;
  let part = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i += 1) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit >= 0 && digit <= 9) {
      if (digits > 0 && part === 0) return undefined;
      part = 10 * part + digit;
      digits += 1;
      if (part > 255) return undefined;
    } else if (text[i] === '.' && digits > 0) {
      value = 256 * value + part;
      [part, digits] = [0, 0];
      dots += 1;
    } else return undefined;
  }
  return dots === 3 && digits > 0 ? 256 * value + part : undefined;
}

function parseCidr(text: string): AddressText | AddressProblem {
  const slash = text.indexOf('/');
  const base = parseAddress(text.slice(0, slash));
  if (base.kind === 'problem') return base;
  const { family, value } = base.address;
  const bits = addressBits(family);
  const length = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > bits) {
    return problem(
      `${quote(`/${length}`)} is not a prefix length of ${familyName(family)}`,
      `write a number from 0 to ${bits}`,
    );
  }
  const hostMask = (1n << BigInt(bits - Number(length))) - 1n;
  const interval: Interval = { family, from: value & ~hostMask, to: value | hostMask };
  return { kind: 'interval', interval, normalised: interval.from === value ? undefined : formatInterval(interval) };
}

function parseRange(text: string): AddressText | AddressProblem {
  const [firstText = '', lastText = '', ...more] = text.split('-').map((part) => part.trim());
  if (more.length > 0) return notAnAddress(text);
  const first = parseAddress(firstText);
  if (first.kind === 'problem') return first;
  const last = parseAddress(lastText);
  if (last.kind === 'problem') return last;
  if (first.address.family !== last.address.family) {
    return problem(
      `the ends of ${quote(text)} are of different families`,
      'a range has two IPv4 or two IPv6 addresses',
    );
  }
  if (first.address.value > last.address.value) {
    return problem(`${quote(text)} runs from high to low`, `write \`${lastText}-${firstText}\``);
  }
  const interval: Interval = { family: first.address.family, from: first.address.value, to: last.address.value };
  return { kind: 'interval', interval, normalised: undefined };
}

function notAnAddress(text: string): AddressProblem {
  const isName = /[g-zG-Z]/.test(text);
  return problem(
    `${quote(text)} is not an address, a CIDR or a range`,
    isName
      ? 'host names are never resolved: write addresses, such as `192.0.2.10`, `192.0.2.0/24` or `2001:db8::/32`'
      : undefined,
  );
}

function single({ family, value }: Address): Interval {
  return { family, from: value, to: value };
}

function familyName(family: Address['family']): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6';
}

function problem(message: string, help: string | undefined): AddressProblem {
  return { kind: 'problem', message, help };
}
