import { reportRule } from '#api/rule-report.ts';
import type { Decision } from '#core/meaning/evaluate/evaluate.ts';
import type { MetChain } from '#core/meaning/other-chains.ts';
import { formatAddress } from '#core/model/net/address.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { icmpText } from '#core/model/policy/icmp-names.ts';
import { icmpProtocol, protocolName } from '#core/model/policy/protocol-lookup.ts';
import { TCP } from '#core/model/policy/protocols.ts';
import { formatRuleName, type Rule } from '#core/model/policy/rule.ts';
import { stateOfUnasked } from '#core/model/policy/unasked-icmp.ts';
import { formatAlias } from './format-alias.ts';

/** The decision as scripts read it: a contract. */
export function decisionToJson(
  { state }: Packet,
  { verdict, reason, rule, runnersUp, platform }: Decision,
  met: readonly MetChain[] | undefined,
): object {
  return {
    verdict,
    reason,
    rule: rule === undefined ? null : reportRule(rule),
    platform: platform ?? null,
    state,
    runnersUp: runnersUp.map(reportRule),
    otherTables: met ?? null,
  };
}

/** The decision as people read it. */
export function formatDecision(
  packet: Packet,
  { verdict, reason, rule, runnersUp, platform, binding }: Decision,
  met: readonly MetChain[] | undefined,
): string {
  const port = (value: number | undefined): string => (value === undefined ? '' : ` port ${value}`);
  const what = `${protocolText(packet)} from ${formatAddress(packet.source)}${port(packet.sourcePort)} to ${formatAddress(packet.destination)}${port(packet.destinationPort)}`;
  const because: Readonly<Record<Decision['reason'], string>> = {
    rule: `rule of group ${rule?.origin.group ?? ''}`,
    management: 'a management rule, which comes before all groups',
    default: binding === undefined ? 'the policy does not name this interface' : 'no rule matches',
    platform: `platform:${platform ?? ''}, built in`,
    state: stateReason(packet),
  };
  const describe = ({ origin, action, priority, description }: Rule): string =>
    `${origin.span.file}:${origin.span.line}  ${formatRuleName(origin)}  ${action}, priority ${priority}${description === undefined ? '' : `  "${description}"`}`;
  return [
    `${verdict}  ${packet.state} ${what}, ${packet.direction} on ${packet.interface}${binding?.by === undefined ? '' : formatAlias(binding.by)}`,
    `because    ${because[reason]}`,
    ...(rule === undefined ? [] : [`rule       ${describe(rule)}`]),
    ...runnersUp.map((runnerUp) => `then       ${describe(runnerUp)}`),
    ...describeMet(met ?? []),
    '',
  ].join('\n');
}

/** `new tcp connection`, `reply icmp echo-reply`: what conntrack says of a packet, and what it is. */
function protocolText({ state, source, protocol, icmpType, icmpCode }: Packet): string {
  const name = protocolName(protocol, source.family);
  if (icmpType === undefined) return state === 'new' && protocol === TCP ? `${name} connection` : name;
  return `${name} ${icmpText(source.family, icmpType, icmpCode)}`;
}

function stateReason({ state, direction, source, icmpType }: Packet): string {
  switch (state) {
    case 'invalid':
      return icmpType === undefined || stateOfUnasked(icmpProtocol(source.family), icmpType) === 'new'
        ? 'conntrack calls it invalid'
        : 'conntrack calls it invalid where it belongs to no flow; ask with --state reply or related for one that does';
    case 'related':
      return icmpType === undefined
        ? 'a conntrack helper announced its flow, and `platform.helpers` is on'
        : 'it is an ICMP error about a live flow';
    case 'reply':
      return direction === 'inbound'
        ? 'it answers a flow that the host opened'
        : 'it answers a flow that the inbound rules allow';
    default:
      return 'the host opened the flow; changes of outbound rules spare it';
  }
}

/** The lines about chains of other tables; none if the packet traverses none. */
function describeMet(met: readonly MetChain[]): readonly string[] {
  const nameOf = ({ table, chain }: MetChain): string => `table ${table}, chain ${chain}`;
  const drops = met
    .filter(({ effect }) => effect === 'drop')
    .map((one) => `${nameOf(one)}${one.policy === 'drop' ? ' (policy drop)' : ''}`);
  const redirects = met.filter(({ effect }) => effect === 'redirect');
  return [
    ...(drops.length === 0 ? [] : [`but        other tables may still drop it: ${drops.join('; ')}`]),
    ...redirects.map(
      (one) =>
        `before     ${nameOf(one)} may change its destination${one.to === null ? '' : ` to ${one.to}`} before these rules see it`,
    ),
  ];
}
