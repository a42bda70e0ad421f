import { formatInterval } from '#core/model/net/interval.ts';
import { LOG_GROUP, LOG_SNAP_BYTES } from '#core/model/nft/packet-log.ts';
import { revokedSet } from '#core/model/nft/revoked-flows.ts';
import type { InterfaceOf, Match, NftRule, NftVerdict, PacketEnd, SimpleVerdict } from '#core/model/nft/ruleset.ts';
import { ICMP_PROTOCOLS, nftWord } from '#core/model/policy/protocol-lookup.ts';
import type { PortProtocol } from '#core/model/policy/protocols.ts';
import { formatRuleName, type PortRange, type RuleOrigin } from '#core/model/policy/rule.ts';
import type { Span } from '#core/model/policy/span.ts';

/** The kernel's names of sets and chains, by the ruleset's. */
export interface KernelNames {
  set(name: string): string;
  chain(name: string): string;
}

/** nft refuses longer comments. */
const MAX_COMMENT_BYTES = 128;

const INTERFACE_NAMES: Readonly<Record<InterfaceOf, string>> = {
  inbound: 'iifname',
  outbound: 'oifname',
  member: 'meta sdifname',
};

/** A rule in nft's language: matches, counter, verdict, comment. */
export function renderRule(rule: NftRule, names: KernelNames): string {
  const words = [
    ...rule.matches.map((match) => renderMatch(match, names)),
    ...(rule.counted ? ['counter'] : []),
    renderVerdict(rule.verdict, names),
    renderComment(rule.comment === '' ? groupOf(rule.origin) : rule.comment),
  ];
  return words.join(' ');
}

/** `comment "..."`, without characters that mean anything to nft, a shell or a terminal. */
export function renderComment(text: string): string {
  return `comment "${harmless(text)}"`;
}

/**
 * The rule, file and line that a line was made from, as a comment in the script. Comments in the kernel name only the
 * group, so that they stay the same when lines move.
 */
export function renderOrigin(origin: RuleOrigin | undefined): string {
  return origin === undefined ? '' : ` # ${harmless(`${formatRuleName(origin)} ${placeOf(origin.span)}`)}`;
}

function groupOf(origin: RuleOrigin | undefined): string {
  return origin === undefined ? '' : `${origin.group ?? 'management'} ${origin.direction}`;
}

function harmless(text: string): string {
  return text.replace(/[^A-Za-z0-9 _.,:;()[\]{}<>=+*/@#%&~^-]/g, '?').slice(0, MAX_COMMENT_BYTES);
}

function placeOf({ file, line }: Span): string {
  return `${file.slice(file.lastIndexOf('/') + 1)}:${line}`;
}

function renderMatch(match: Match, names: KernelNames): string {
  switch (match.kind) {
    case 'interface':
      return `${INTERFACE_NAMES[match.of]} "${match.pattern}"`;
    case 'inVrf':
      return 'meta sdif != 0';
    case 'toVrf':
      return 'meta oifkind "vrf"';
    case 'family':
      return `meta nfproto ${match.family}`;
    case 'protocol':
      return `meta l4proto ${match.protocol}`;
    case 'port':
      return `${renderPortEnd(match)} ${'set' in match.port ? `@${names.set(match.port.set)}` : renderPorts(match.port)}`;
    case 'icmp': {
      const protocol = nftWord(match.protocol);
      const types = match.types.length === 1 ? String(match.types[0]) : `{ ${match.types.join(', ')} }`;
      return `${protocol} type ${types}${match.code === 'any' ? '' : ` ${protocol} code ${match.code}`}`;
    }
    case 'address':
      return `${renderAddressEnd(match)} ${
        'set' in match.address ? `@${names.set(match.address.set)}` : formatInterval(match.address)
      }`;
    case 'hopLimit':
      return `${match.family === 'ipv4' ? 'ip ttl' : 'ip6 hoplimit'} ${match.value}`;
    case 'state':
      return `ct state ${match.state === 'establishedOrRelated' ? 'established,related' : match.state}`;
    case 'sourceType':
      return `fib saddr${match.of === 'host' ? '' : ' . iif'} type ${match.isLocal ? '' : '!= '}local`;
    case 'toMany':
      return 'meta pkttype != host';
    case 'manyIpv4':
      return 'fib daddr type { broadcast, multicast }';
    case 'translated':
      return 'ct status dnat';
    case 'notRelated':
      return 'ct state != related';
    case 'midstream':
      return 'ct state new tcp flags & (fin | syn | rst | ack) != syn';
    case 'revoked': {
      const ip = match.family === 'ipv4' ? 'ip' : 'ip6';
      return `meta l4proto . ${ip} saddr . th sport . ${ip} daddr . th dport @${revokedSet(match.family)}`;
    }
    case 'flowDirection':
      return `ct direction ${match.direction}`;
    case 'fromAnother':
      return 'meta pkttype host';
    case 'expected':
      return ['ct status expected', ...ICMP_PROTOCOLS.map((protocol) => `meta l4proto != ${protocol}`)].join(' ');
  }
}

function renderVerdict(verdict: NftVerdict, names: KernelNames): string {
  switch (verdict.kind) {
    case 'accept':
    case 'drop':
    case 'return':
    case 'jump':
    case 'goto':
      return renderSimpleVerdict(verdict, names);
    case 'log':
      return renderLog(verdict);
    case 'addressMap':
      return `${renderAddressEnd(verdict)} vmap @${names.set(verdict.map)}`;
    case 'portMap':
      return `${renderPortEnd(verdict)} vmap @${names.set(verdict.map)}`;
    case 'protocolMap': {
      const entries = verdict.entries.map(
        (entry) => `${entry.protocol} : ${renderSimpleVerdict(entry.verdict, names)}`,
      );
      return `meta l4proto vmap { ${entries.join(', ')} }`;
    }
    case 'interfaceMap': {
      const entries = verdict.entries.map(({ name, chain }) => `"${name}" : goto ${names.chain(chain)}`);
      return `${INTERFACE_NAMES[verdict.of]} vmap { ${entries.join(', ')} }`;
    }
  }
}

function renderLog(verdict: Extract<NftVerdict, { readonly kind: 'log' }>): string {
  const { limit, prefix, recent, firstOnly } = verdict;
  const address = renderAddressEnd(verdict);
  // The end is added to the set behind the log statement: a full set ends the rule, but the packet is logged.
  return [
    ...(firstOnly ? [`${address} != @${recent}`] : []),
    `limit name "${limit}"`,
    // The prefix is the name of a chain, which has only characters that nft allows.
    `log group ${LOG_GROUP} snaplen ${LOG_SNAP_BYTES} prefix "${prefix}"`,
    `update @${recent} { ${address} }`,
  ].join(' ');
}

/** A verdict that both rules and elements of maps can have. */
export function renderSimpleVerdict(verdict: SimpleVerdict, names: KernelNames): string {
  return verdict.kind === 'jump' || verdict.kind === 'goto'
    ? `${verdict.kind} ${names.chain(verdict.chain)}`
    : verdict.kind;
}

function renderAddressEnd({ family, end }: { readonly family: 'ipv4' | 'ipv6'; readonly end: PacketEnd }): string {
  return `${family === 'ipv4' ? 'ip' : 'ip6'} ${end === 'source' ? 'saddr' : 'daddr'}`;
}

function renderPortEnd({ protocol, end }: { readonly protocol: PortProtocol; readonly end: PacketEnd }): string {
  return `${nftWord(protocol)} ${end === 'source' ? 'sport' : 'dport'}`;
}

/** A range of ports in nft's language: `22` or `8000-8999`. */
export function renderPorts({ from, to }: PortRange): string {
  return from === to ? String(from) : `${from}-${to}`;
}
