import { addressFromBytes, formatAddress } from '#core/model/net/address.ts';
import { portedName } from '#core/model/policy/protocol-lookup.ts';
import type { PortRange } from '#core/model/policy/rule.ts';
import { attributeText, netlinkAttributes } from '#kernel/netlink/netlink-attributes.ts';
import { NFTA_DATA_VALUE } from './nftables-messages.ts';
import { type RuleExpression, ruleExpressions } from './rule-expressions.ts';

// Kernel facts: include/uapi/linux/netfilter/nf_tables.h, nf_tables_compat.h, x_tables.h.
const META = { register: 1, key: 2, layer4Protocol: 16 };
const PAYLOAD = { register: 1, base: 2, offset: 3, length: 4, network: 1, transport: 2 };
const CMP = { register: 1, operator: 2, value: 3, equal: 0, lessOrEqual: 3, greaterOrEqual: 5 };
const RANGE = { register: 1, operator: 2, from: 3, to: 4, equal: 0 };
const LOOKUP = { set: 1, register: 2, flags: 5, inverted: 1 };
const IMMEDIATE = { register: 1, value: 2 };
const BITWISE_RESULT = 2;
const NAT = { type: 1, firstAddress: 3, lastAddress: 4, firstPort: 5, lastPort: 6, destination: 1 };
const XTABLES = { name: 1, revision: 2, info: 3 };

/** The location of the protocol in the headers of IPv4 and IPv6, as `base.offset.length` of a payload load. */
const PROTOCOL_PLACES: ReadonlySet<string> = new Set([`${PAYLOAD.network}.9.1`, `${PAYLOAD.network}.6.1`]);
/** The location of the destination port, alone and behind the source port. */
const PORT_PLACES: ReadonlyMap<string, number> = new Map([
  [`${PAYLOAD.transport}.2.2`, 0],
  [`${PAYLOAD.transport}.0.4`, 2],
]);

/** A rule that sends packets for a port somewhere else. */
export interface Redirect {
  readonly protocol: string;
  /** The ports, or the set that contains them. */
  readonly ports: readonly PortRange[] | { readonly set: string };
  /** The target as nft prints it, `192.0.2.1:80`; null if the rule does not say. */
  readonly to: string | null;
}

/** The content of a register, as far as it matters. */
type Loaded =
  | { readonly kind: 'protocol' }
  | { readonly kind: 'port'; readonly at: number }
  | { readonly kind: 'value'; readonly bytes: Buffer };

interface Reading {
  readonly registers: Map<number, Loaded>;
  protocol: string | undefined;
  ports: Redirect['ports'] | undefined;
  /** Undefined if nothing is redirected. */
  to: string | null | undefined;
}

/**
 * The redirection of a rule, from its NFTA_RULE_EXPRESSIONS; undefined if it redirects nothing, or names no port. Reads nft's
 * own expressions, and those that iptables-nft leaves to modules of iptables.
 */
export function redirectIn(expressions: Buffer): Redirect | undefined {
  // This alone excludes most rules of a table with thousands.
  if (!expressions.includes('nat\0') && !expressions.includes('DNAT\0')) return undefined;
  const reading: Reading = { registers: new Map(), protocol: undefined, ports: undefined, to: undefined };
  for (const expression of ruleExpressions(expressions)) readStep(reading, expression);
  const { protocol, ports, to } = reading;
  return protocol === undefined || ports === undefined || to === undefined ? undefined : { protocol, ports, to };
}

function readStep(reading: Reading, { name, data }: RuleExpression): void {
  const values = new Map([...netlinkAttributes(data)].map(({ type, value }) => [type, value]));
  const number = (type: number): number => numberIn(values.get(type));
  const { registers } = reading;
  switch (name) {
    case 'meta':
      put(
        registers,
        number(META.register),
        number(META.key) === META.layer4Protocol ? { kind: 'protocol' } : undefined,
      );
      return;
    case 'payload':
      put(
        registers,
        number(PAYLOAD.register),
        loadedFrom([PAYLOAD.base, PAYLOAD.offset, PAYLOAD.length].map(number).join('.')),
      );
      return;
    case 'immediate': {
      const bytes = valueIn(values.get(IMMEDIATE.value));
      put(registers, number(IMMEDIATE.register), bytes === undefined ? undefined : { kind: 'value', bytes });
      return;
    }
    case 'bitwise':
      put(registers, number(BITWISE_RESULT), undefined);
      return;
    case 'cmp':
      compare(reading, registers.get(number(CMP.register)), {
        operator: number(CMP.operator),
        value: valueIn(values.get(CMP.value)),
      });
      return;
    case 'range': {
      const [from, to] = [valueIn(values.get(RANGE.from)), valueIn(values.get(RANGE.to))];
      const isPort = registers.get(number(RANGE.register))?.kind === 'port' && number(RANGE.operator) === RANGE.equal;
      if (isPort && from?.length === 2 && to?.length === 2)
        reading.ports = [{ from: from.readUInt16BE(0), to: to.readUInt16BE(0) }];
      return;
    }
    case 'lookup':
      if (registers.get(number(LOOKUP.register))?.kind === 'port' && (number(LOOKUP.flags) & LOOKUP.inverted) === 0)
        reading.ports = { set: attributeText(values.get(LOOKUP.set) ?? Buffer.alloc(0)) };
      return;
    case 'nat':
      if (number(NAT.type) === NAT.destination)
        reading.to = target(
          [NAT.firstAddress, NAT.lastAddress].map((type) => bytesIn(registers, number(type))),
          [NAT.firstPort, NAT.lastPort].map((type) => bytesIn(registers, number(type))),
        );
      return;
    case 'match':
    case 'target':
      readXtables(reading, {
        name: attributeText(values.get(XTABLES.name) ?? Buffer.alloc(0)),
        revision: number(XTABLES.revision),
        info: values.get(XTABLES.info) ?? Buffer.alloc(0),
      });
  }
}

function put(registers: Map<number, Loaded>, register: number, loaded: Loaded | undefined): void {
  if (loaded === undefined) registers.delete(register);
  else registers.set(register, loaded);
}

function loadedFrom(place: string): Loaded | undefined {
  if (PROTOCOL_PLACES.has(place)) return { kind: 'protocol' };
  const at = PORT_PLACES.get(place);
  return at === undefined ? undefined : { kind: 'port', at };
}

function compare(
  reading: Reading,
  loaded: Loaded | undefined,
  { operator, value }: { readonly operator: number; readonly value: Buffer | undefined },
): void {
  if (value === undefined || loaded === undefined) return;
  if (loaded.kind === 'protocol' && operator === CMP.equal) reading.protocol = portedName(value[0] ?? 0);
  if (loaded.kind !== 'port' || value.length < loaded.at + 2) return;
  const port = value.readUInt16BE(loaded.at);
  const [range] = Array.isArray(reading.ports) ? (reading.ports as readonly PortRange[]) : [];
  // nft writes a range as two comparisons.
  if (operator === CMP.equal) reading.ports = [{ from: port, to: port }];
  else if (operator === CMP.greaterOrEqual) reading.ports = [{ from: port, to: range?.to ?? HIGHEST_PORT }];
  else if (operator === CMP.lessOrEqual) reading.ports = [{ from: range?.from ?? 0, to: port }];
}

const HIGHEST_PORT = 65_535;

/** A match or target of an iptables module, and its struct with numbers in host byte order. */
interface Xtables {
  readonly name: string;
  readonly revision: number;
  readonly info: Buffer;
}

function readXtables(reading: Reading, { name, revision, info }: Xtables): void {
  if (name === 'DNAT') reading.to = xtablesTarget(revision, info);
  // struct xt_tcp and xt_udp: ports of the source from and to, then of the destination; the last byte says what is inverted.
  const inverted = name === 'tcp' ? info[11] : info[8];
  if ((name === 'tcp' && info.length >= 12) || (name === 'udp' && info.length >= 9)) {
    reading.protocol = name;
    const ports = { from: info.readUInt16LE(4), to: info.readUInt16LE(6) };
    const isAny = ports.from === 0 && ports.to === HIGHEST_PORT;
    if (!isAny && ((inverted ?? 0) & XT_INVERTED_DESTINATION) === 0) reading.ports = [ports];
  }
  // struct xt_multiport_v1: which ports to match, their number, 15 ports, 15 flags of ports that begin a range.
  const [meant = 0, count = 0] = info;
  if (name !== 'multiport' || revision !== 1 || info.length < 48 || meant === MULTIPORT_SOURCE || info[47] === 1)
    return;
  const listed = Array.from({ length: Math.min(count, 15) }, (_, i) => ({
    port: info.readUInt16LE(2 + 2 * i),
    begins: info[32 + i] === 1,
  }));
  reading.ports = listed.flatMap(({ port, begins }, i) =>
    listed[i - 1]?.begins === true ? [] : [{ from: port, to: begins ? (listed[i + 1]?.port ?? port) : port }],
  );
}

/** XT_TCP_INV_DSTPT and XT_UDP_INV_DSTPT. */
const XT_INVERTED_DESTINATION = 2;
const MULTIPORT_SOURCE = 0;
const NF_NAT_RANGE_MAP_IPS = 1;
const NF_NAT_RANGE_PROTO_SPECIFIED = 2;

/** Reads nf_nat_ipv4_multi_range_compat of revision 0, or nf_nat_range of later ones, whose addresses have room for IPv6. */
function xtablesTarget(revision: number, info: Buffer): string | null {
  const start = revision === 0 ? 4 : 0;
  const room = revision === 0 ? 4 : 16;
  if (info.length < start + 8 + 2 * room) return null;
  const flags = info.readUInt32LE(start);
  const first = start + 4;
  const address = (at: number): Buffer => {
    const bytes = info.subarray(at, at + room);
    return room === 16 && bytes.subarray(4).every((byte) => byte === 0) ? bytes.subarray(0, 4) : bytes;
  };
  const isAddress = (flags & NF_NAT_RANGE_MAP_IPS) !== 0;
  const hasPort = (flags & NF_NAT_RANGE_PROTO_SPECIFIED) !== 0;
  const ports = first + 2 * room;
  return target(
    isAddress ? [address(first), address(first + room)] : [],
    hasPort ? [info.subarray(ports, ports + 2), info.subarray(ports + 2, ports + 4)] : [],
  );
}

type Ends = readonly (Buffer | undefined)[];

/** The target as nft prints it; null if it is neither an address nor a port, as with a map. */
function target([firstAddress, lastAddress]: Ends, [firstPort, lastPort]: Ends): string | null {
  const ports = between(portText(firstPort), portText(lastPort));
  const addresses = between(addressText(firstAddress), addressText(lastAddress));
  if (addresses === undefined) return ports === undefined ? null : `:${ports}`;
  if (ports === undefined) return addresses;
  return addresses.includes(':') ? `[${addresses}]:${ports}` : `${addresses}:${ports}`;
}

function between(first: string | undefined, last: string | undefined): string | undefined {
  return first === undefined || last === undefined || last === first ? first : `${first}-${last}`;
}

function addressText(bytes: Buffer | undefined): string | undefined {
  return bytes?.length === 4 || bytes?.length === 16 ? formatAddress(addressFromBytes(bytes)) : undefined;
}

function portText(bytes: Buffer | undefined): string | undefined {
  return bytes?.length === 2 ? String(bytes.readUInt16BE(0)) : undefined;
}

function bytesIn(registers: ReadonlyMap<number, Loaded>, register: number): Buffer | undefined {
  const loaded = registers.get(register);
  return loaded?.kind === 'value' ? loaded.bytes : undefined;
}

/** An attribute that is a 32-bit number; 0 if it is missing, which is no register. */
function numberIn(value: Buffer | undefined): number {
  return value?.length === 4 ? value.readUInt32BE(0) : 0;
}

function valueIn(nest: Buffer | undefined): Buffer | undefined {
  for (const { type, value } of nest === undefined ? [] : netlinkAttributes(nest))
    if (type === NFTA_DATA_VALUE) return value;
  return undefined;
}
