import type { Report } from '#core/diagnostics/report.ts';
import type { Family } from '#core/model/net/address.ts';
import { icmpTypeName, icmpTypeNumber } from '#core/model/policy/icmp-names.ts';
import type { Traffic } from '#core/model/policy/rule.ts';
import type { Span } from '#core/model/policy/span.ts';

/** Headers that the kernel skips to find an IPv6 packet's protocol: ipv6_ext_hdr() in net/ipv6/exthdrs_core.c. */
const EXTENSION_HEADERS: Readonly<Record<number, string>> = {
  0: 'hop-by-hop options',
  43: 'routing',
  44: 'fragment',
  51: 'authentication (AH)',
  60: 'destination options',
};

/** Warns of a protocol number that is an extension header in IPv6, and so matches no packet there. */
export function reportExtensionHeader(traffic: ReadonlyMap<Family, Traffic>, span: Span, report: Report): void {
  const of = traffic.get('ipv6');
  const header = of?.kind === 'protocol' ? EXTENSION_HEADERS[of.protocol] : undefined;
  if (of?.kind !== 'protocol' || header === undefined) return;
  const isBoth = traffic.has('ipv4');
  report({
    code: 'extension-header',
    span,
    message: `over IPv6 this matches nothing: ${of.protocol} is the ${header} header there, and rules match the protocol behind it`,
    help: isBoth
      ? 'say `type: ipv4`, and write a rule of `type: ipv6` for the protocol behind the header'
      : 'write the protocol behind the header, such as `tcp`',
  });
}

/** Warns of an ICMP type number that means different types in the two families of a rule. */
export function reportAmbiguousIcmp(written: string | number, span: Span, report: Report): void {
  const number = Number(written);
  if (!Number.isInteger(number)) return;
  const [inIcmp, inIcmpv6] = [icmpTypeName('ipv4', number), icmpTypeName('ipv6', number)];
  if (inIcmp === inIcmpv6) return;
  const name = inIcmp ?? inIcmpv6 ?? '';
  const family: Family = inIcmp === undefined ? 'ipv6' : 'ipv4';
  const isInBoth = icmpTypeNumber('ipv4', name) !== undefined && icmpTypeNumber('ipv6', name) !== undefined;
  report({
    code: 'ambiguous-icmp',
    span,
    message: `ICMP type ${number} is ${meaning(inIcmp)} over IPv4 and ${meaning(inIcmpv6)} over IPv6`,
    help: isInBoth
      ? `write \`icmp: ${name}\`, which is the right number in either, or say \`type: ${family}\``
      : `write \`icmp: ${name}\`, or say \`type: ${family}\``,
  });
}

function meaning(name: string | undefined): string {
  return name === undefined ? 'nothing' : `\`${name}\``;
}
