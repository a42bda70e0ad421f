import type { Difference } from '#core/meaning/compare/compare-policies.ts';
import type { NumberRange, TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import type { Family } from '#core/model/net/address.ts';
import { icmpTypeName } from '#core/model/policy/icmp-names.ts';
import { protocolName, selectorOf } from '#core/model/policy/protocol-lookup.ts';

const LAST_CODE = 255;

/** Traffic in the policy's words: `tcp 22,80-90, icmp echo-request`. */
export function formatTraffic(traffic: Difference['traffic'], family: Family): string {
  if (traffic === 'all') return 'all traffic';
  const byProtocol = new Map<string, string[]>();
  const others: NumberRange[] = [];
  const add = (protocol: string, part: string): void => {
    const parts = byProtocol.get(protocol) ?? [];
    byProtocol.set(protocol, parts);
    parts.push(part);
  };
  for (const { protocols, l4Values } of traffic) {
    const [only] = protocols;
    if (protocols.length !== 1 || only === undefined || only.from !== only.to) {
      others.push(...protocols);
      continue;
    }
    const name = protocolName(only.from, family);
    const texts = l4Values === undefined ? [] : formatParts(only.from, l4Values, family);
    if (texts.length === 0) byProtocol.set(name, []);
    for (const text of texts) add(name, text);
  }
  return [
    ...[...byProtocol].map(([protocol, parts]) => (parts.length === 0 ? protocol : `${protocol} ${parts.join(',')}`)),
    ...(others.length === 0 ? [] : [othersText(others, traffic, family)]),
  ].join(', ');
}

/** A set of protocols: `all other protocols` if it lacks only protocols that the traffic names besides. */
function othersText(others: readonly NumberRange[], traffic: readonly TrafficAtom[], family: Family): string {
  const missing = missingProtocols(others);
  const named = new Set(traffic.flatMap(({ protocols: [only] }) => (only?.from === only?.to ? [only?.from] : [])));
  if (missing.every((protocol) => named.has(protocol)))
    return missing.length === 0 ? 'all protocols' : 'all other protocols';
  return others.length + missing.length > MAX_LISTED && missing.length < MAX_LISTED
    ? `all protocols but ${missing.map((protocol) => protocolName(protocol, family)).join(' and ')}`
    : `protocols ${others.map(formatRange).join(',')}`;
}

/** Longer lists of protocols are hard to read. */
const MAX_LISTED = 4;

const LAST_PROTOCOL = 255;

function missingProtocols(ranges: readonly NumberRange[]): readonly number[] {
  const all = Array.from({ length: LAST_PROTOCOL + 1 }, (_, protocol) => protocol);
  return all.filter((protocol) => !ranges.some(({ from, to }) => from <= protocol && protocol <= to));
}

/** A class of traffic for programs: ports, or types of ICMP as `type/code`. */
export function trafficToJson({ protocols, l4Values }: TrafficAtom, family: Family): object {
  const [first] = protocols;
  const isOne = protocols.length === 1 && first?.from === first?.to;
  return {
    protocols: protocols.map(formatRange).join(','),
    parts:
      l4Values === undefined || first === undefined || !isOne
        ? null
        : formatParts(first.from, l4Values, family).join(','),
  };
}

function formatParts(protocol: number, parts: NumberRange, family: Family): readonly string[] {
  switch (selectorOf(protocol, family)) {
    case 'ports':
      return [formatRange(parts)];
    case 'icmp':
      return formatTypes(parts, family);
    case 'none':
      return [];
  }
}

/** ICMP types with all their codes, and the codes of types that have only some. */
function formatTypes({ from, to }: NumberRange, family: Family): readonly string[] {
  const [firstType, lastType] = [from >> 8, to >> 8];
  const [firstCode, lastCode] = [from & LAST_CODE, to & LAST_CODE];
  const codes = (type: number, first: number, last: number): string =>
    first === 0 && last === LAST_CODE
      ? typeName(type, family)
      : `${typeName(type, family)} code ${formatRange({ from: first, to: last })}`;
  if (firstType === lastType) return [codes(firstType, firstCode, lastCode)];
  const wholeFrom = firstCode === 0 ? firstType : firstType + 1;
  const wholeTo = lastCode === LAST_CODE ? lastType : lastType - 1;
  return [
    ...(wholeFrom > firstType ? [codes(firstType, firstCode, LAST_CODE)] : []),
    ...(wholeFrom > wholeTo ? [] : [typesText(wholeFrom, wholeTo, family)]),
    ...(wholeTo < lastType ? [codes(lastType, 0, lastCode)] : []),
  ];
}

function typesText(from: number, to: number, family: Family): string {
  return from === to ? typeName(from, family) : `types ${from}-${to}`;
}

function typeName(type: number, family: Family): string {
  return icmpTypeName(family, type) ?? `type ${type}`;
}

function formatRange({ from, to }: NumberRange): string {
  return from === to ? String(from) : `${from}-${to}`;
}
