import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { quote } from '#core/diagnostics/quote.ts';
import type { Report } from '#core/diagnostics/report.ts';
import { wordList } from '#core/diagnostics/word-list.ts';
import type { Family } from '#core/model/net/address.ts';
import { icmpCodeNumber, icmpTypeNames, icmpTypeNumber } from '#core/model/policy/icmp-names.ts';
import {
  hasPorts,
  icmpFamily,
  icmpProtocol,
  isIcmp,
  PORT_WORDS,
  portedName,
  protocolOfWord,
} from '#core/model/policy/protocol-lookup.ts';
import type { PortRange, Traffic } from '#core/model/policy/rule.ts';
import type { RuleInput } from '#core/read/1-parse/policy-schema.ts';
import { type Entry, spanAt } from './merge-documents.ts';
import { type PortsInput, parsePorts } from './port-text.ts';
import { protocolHint } from './protocol-hint.ts';
import { reportAmbiguousIcmp } from './report-numbers.ts';

type Protocol = 'all' | 'icmp' | number;

/**
 * What a rule says of protocol, ports and ICMP, for each of `families`. A family in which a name such as
 * `packet-too-big` does not exist is left out where the rule did not ask for it; asked for, it is an error.
 * Returns an empty map after reporting an error.
 */
export function readTraffic(
  entry: Entry<Omit<RuleInput, 'source' | 'destination'>>,
  families: { readonly list: readonly Family[]; readonly written: boolean },
  report: Report,
): ReadonlyMap<Family, Traffic> {
  const { input } = entry;
  const protocol = readProtocol(entry, report);
  // Each is read whatever is wrong with the others, so that every mistake is reported at once.
  const ports = input.ports === undefined ? undefined : readPorts(entry, input.ports, report);
  const icmp =
    input.icmp === undefined || protocol === undefined ? undefined : readIcmpOf(entry, { protocol, families, report });
  if (protocol === undefined) return new Map();
  const ported = typeof protocol === 'number' && hasPorts(protocol) ? protocol : undefined;
  if (input.ports !== undefined && ported === undefined) {
    report({
      code: 'ports-without-protocol',
      span: spanAt(entry, 'ports'),
      message:
        input.protocol === undefined ? 'ports without a protocol' : `protocol \`${input.protocol}\` has no ports`,
      help: portsHelp(protocol),
    });
    return new Map();
  }
  if (icmp !== undefined) return icmp;
  if (input.ports !== undefined && ported !== undefined) {
    return ports === undefined
      ? new Map()
      : new Map(families.list.map((family) => [family, { kind: 'ports', protocol: ported, ports }]));
  }
  return new Map(families.list.map((family) => [family, wholeProtocol(protocol, family)]));
}

/** What to write instead of ports with a protocol that has none here. */
function portsHelp(protocol: Protocol): string {
  if (isOfIcmp(protocol)) return 'ICMP has types: write `icmp: echo-request`, or `icmp: 8`';
  const words = wordList(PORT_WORDS, 'and');
  if (typeof protocol === 'number' && portedName(protocol) !== undefined)
    return `rules match ports of ${words} only: leave \`ports\` out to mean all of this protocol`;
  const keys = PORT_WORDS.map((word) => `\`protocol: ${word}\``);
  return `only ${words} have ports: write ${wordList(keys, 'or')}`;
}

function isOfIcmp(protocol: Protocol): boolean {
  return protocol === 'icmp' || (typeof protocol === 'number' && isIcmp(protocol));
}

/** Undefined after reporting what is wrong. */
function readPorts(entry: Entry<unknown>, input: PortsInput, report: Report): readonly PortRange[] | undefined {
  const { ports, problems } = parsePorts(input);
  for (const { index, message, help } of problems) {
    report({
      code: 'bad-ports',
      span: spanAt(entry, 'ports', ...(index === undefined ? [] : [index])),
      message,
      help,
    });
  }
  return problems.length > 0 ? undefined : ports;
}

function readIcmpOf(
  entry: Entry<Omit<RuleInput, 'source' | 'destination'>>,
  context: IcmpContext,
): ReadonlyMap<Family, Traffic> {
  const { input } = entry;
  const { protocol, report } = context;
  if (isOfIcmp(protocol)) return readIcmp(entry, context);
  report({
    code: 'icmp-without-protocol',
    span: spanAt(entry, 'icmp'),
    message:
      input.protocol === undefined ? '`icmp` without a protocol' : `protocol \`${input.protocol}\` has no ICMP types`,
    help: 'write `protocol: icmp`',
  });
  return new Map();
}

function wholeProtocol(protocol: Protocol, family: Family): Traffic {
  if (protocol === 'all') return { kind: 'all' };
  if (protocol === 'icmp') return { kind: 'protocol', protocol: icmpProtocol(family) };
  return { kind: 'protocol', protocol };
}

function readProtocol(
  entry: Entry<{ readonly protocol?: string | number | undefined }>,
  report: Report,
): Protocol | undefined {
  const written = entry.input.protocol ?? 'all';
  const text = String(written);
  if (text === 'all') return text;
  const named = protocolOfWord(text);
  if (named !== undefined) return named;
  if (/^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= 255) return Number(text);
  report({
    code: 'bad-protocol',
    span: spanAt(entry, 'protocol'),
    message: `${quote(text)} is not a protocol`,
    help: protocolHint(text),
  });
  return undefined;
}

interface IcmpContext {
  readonly protocol: Protocol;
  readonly families: { readonly list: readonly Family[]; readonly written: boolean };
  readonly report: Report;
}

function readIcmp(
  entry: Entry<Omit<RuleInput, 'source' | 'destination'>>,
  { protocol, families, report }: IcmpContext,
): ReadonlyMap<Family, Traffic> {
  const traffic = new Map<Family, Traffic>();
  const { icmp } = entry.input;
  if (icmp === undefined) return traffic;
  const long = typeof icmp === 'object';
  const typeInput = long ? icmp.type : icmp;
  const typeSpan = long ? spanAt(entry, 'icmp', 'type') : spanAt(entry, 'icmp');
  const able = families.list.filter((family) => protocol === 'icmp' || protocol === icmpProtocol(family));
  if (able.length === 0 || (able.length < families.list.length && !families.written)) {
    const only = typeof protocol === 'number' && isIcmp(protocol) ? icmpFamily(protocol) : 'ipv6';
    report({
      code: 'icmp-without-protocol',
      span: spanAt(entry, 'icmp'),
      message: `protocol ${String(protocol)} is ICMP in ${only === 'ipv4' ? 'IPv4' : 'IPv6'} only`,
      help: `write \`protocol: icmp\`, or say \`type: ${only}\``,
    });
    return traffic;
  }
  const named = able.map((family) => ({ family, type: icmpNumber(typeInput, (name) => icmpTypeNumber(family, name)) }));
  const known = named.filter((one): one is { family: Family; type: number } => one.type !== undefined);
  if (known.length === 0) {
    reportBadType({ typeInput, families: able, span: typeSpan, report });
    return traffic;
  }
  for (const { family, type } of known) {
    const codeInput = long ? icmp.code : undefined;
    const code = codeInput === undefined ? 'any' : icmpNumber(codeInput, (name) => icmpCodeNumber(family, type, name));
    if (code !== undefined) traffic.set(family, { kind: 'icmp', protocol: icmpProtocol(family), type, code });
  }
  if (!families.written && traffic.size > 1) reportAmbiguousIcmp(typeInput, typeSpan, report);
  if (traffic.size === 0) {
    report({
      code: 'bad-icmp',
      span: spanAt(entry, 'icmp', 'code'),
      message: `\`${String(long ? icmp.code : '')}\` is not a code of ICMP type \`${typeInput}\``,
      help: 'write a number from 0 to 255',
    });
  }
  return traffic;
}

function icmpNumber(input: string | number, numberOf: (name: string) => number | undefined): number | undefined {
  const text = String(input);
  if (!/^[0-9]+$/.test(text)) return numberOf(text);
  return /^(0|[1-9][0-9]{0,2})$/.test(text) && Number(text) <= 255 ? Number(text) : undefined;
}

interface BadType {
  readonly typeInput: string | number;
  readonly families: readonly Family[];
  readonly span: Parameters<Report>[0]['span'];
  readonly report: Report;
}

function reportBadType({ typeInput, families, span, report }: BadType): void {
  const text = String(typeInput);
  const where = families.map((family) => (family === 'ipv4' ? 'ICMP' : 'ICMPv6')).join(' or ');
  const near = didYouMean(text, [...new Set(families.flatMap((family) => icmpTypeNames(family)))].toSorted());
  report({
    code: 'bad-icmp',
    span,
    message: `\`${text}\` is not a type of ${where}`,
    help: icmpHelp(text, near),
  });
}

function icmpHelp(text: string, near: string | undefined): string {
  const [, type, code] = /^([0-9]+)[/:,]([0-9]+)$/.exec(text) ?? [];
  if (type !== undefined) return `write \`{ type: ${type}, code: ${code} }\``;
  if (/^(?:any|all|\*)$/i.test(text)) return 'leave `icmp` out to mean all types';
  if (near === undefined) return 'write a name such as `echo-request`, or a number from 0 to 255';
  return near === text.toLowerCase() ? `write \`${near}\`` : `did you mean \`${near}\`?`;
}
