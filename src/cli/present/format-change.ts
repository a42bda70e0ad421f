import { reportRule } from '#api/rule-report.ts';
import type { ChangeEffects } from '#core/change-effects.ts';
import type { StyledText } from '#core/diagnostics/styled-text.ts';
import type { MemberChange } from '#core/meaning/compare/compare-members.ts';
import type { Difference } from '#core/meaning/compare/compare-policies.ts';
import type { CutFlow } from '#core/meaning/flows/cut-flows.ts';
import type { RuleDecision } from '#core/meaning/headerspace/rule-list.ts';
import { exampleInterface, witnessOf } from '#core/meaning/headerspace/witness.ts';
import { type Address, formatAddress } from '#core/model/net/address.ts';
import { formatInterval } from '#core/model/net/interval.ts';
import type { Flow } from '#core/model/packet/flow.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import { protocolName } from '#core/model/policy/protocol-lookup.ts';
import { formatRuleName } from '#core/model/policy/rule.ts';
import { leftOutLines } from './format-left-out.ts';
import { formatPlace } from './format-place.ts';
import { formatIntervals, formatRemotes, MAX_SHOWN } from './format-remotes.ts';
import { formatTraffic, trafficToJson } from './format-traffic.ts';
import { packetToJson } from './packet-json.ts';

/** The effects of a change as scripts read them: a contract. */
export function changeToJson(
  { policies, differences, leftOut, platform, members, connections, session }: ChangeEffects,
  host: HostState,
): object {
  return {
    same: differences.length + platform.length + leftOut.length === 0,
    session: session === undefined ? null : { ...flowToJson(session.flow), cut: session.cut !== undefined },
    connections: connections.kind === 'known' ? connections.cut.map(cutToJson) : null,
    changes: differences.map((difference) => ({
      interface: difference.interface ?? null,
      direction: difference.direction,
      family: difference.family,
      change: changeOf(difference),
      traffic:
        difference.traffic === 'all' ? 'all' : difference.traffic.map((atom) => trafficToJson(atom, difference.family)),
      remotes: difference.remotes === 'any' ? 'any' : difference.remotes.map(formatInterval),
      before: decisionToJson(difference.before),
      after: decisionToJson(difference.after),
      witness: witnessToJson(difference, policies, host),
    })),
    leftOut: leftOut.map(({ interface: pattern = null, direction, family }) => ({
      interface: pattern,
      direction,
      family,
    })),
    platform: platform.map(({ name, after }) => ({ name, after })),
    members: members.map(({ kind, name, joined, left }) => ({
      [kind]: name,
      joined: joined.map(formatInterval),
      left: left.map(formatInterval),
    })),
  };
}

function changeOf({ after }: Difference): 'allowed' | 'denied' {
  return after.action === 'allow' ? 'allowed' : 'denied';
}

function decisionToJson({ action, reason, rule }: RuleDecision): object {
  return { action, reason, rule: rule === undefined ? null : reportRule(rule) };
}

/** A packet whose verdict changes, as a query for `sgctl explain --batch`. */
function witnessToJson(difference: Difference, policies: readonly HostPolicy[], { interfaces }: HostState): object {
  const { family } = difference;
  const patterns = policies.flatMap(({ bindings }) => bindings.map(({ pattern }) => pattern));
  const existing = interfaces.map(({ name }) => name);
  const name = exampleInterface(difference.interface, patterns, existing);
  const held = interfaces.find((one) => one.name === name);
  const local = held?.addresses.find((address) => address.family === family) ?? DOCUMENTATION[family];
  return packetToJson(witnessOf(difference, { interface: name, local }));
}

const DOCUMENTATION: Readonly<Record<Address['family'], Address>> = {
  ipv4: { family: 'ipv4', value: 0xc000_0201n },
  ipv6: { family: 'ipv6', value: (0x2001_0db8n << 96n) | 1n },
};

function cutToJson({ flow, interface: name, before, after }: CutFlow): object {
  return {
    ...flowToJson(flow),
    interface: name,
    before: before.rule === undefined ? null : reportRule(before.rule),
    after: after.rule === undefined ? null : reportRule(after.rule),
  };
}

function flowToJson({ protocol, source, destination, sourcePort, destinationPort }: Flow): object {
  return {
    protocol: protocolName(protocol, source.family),
    source: formatAddress(source),
    sourcePort: sourcePort ?? null,
    destination: formatAddress(destination),
    destinationPort: destinationPort ?? null,
  };
}

/** The effects of a change as people read them, under a title. */
export function formatChange(effects: ChangeEffects, title: string): StyledText {
  const { policies, differences, leftOut, platform, members, connections, session } = effects;
  const same = differences.length + platform.length + leftOut.length === 0;
  const lines = [
    ...(same ? ['nothing would change'] : []),
    ...changeLines(differences, policies),
    ...leftOutLines(leftOut),
    ...platform.map(({ name, after }) => `platform:${name} is switched ${after ? 'on' : 'off'}`),
    ...memberLines(members),
    ...connectionLines(connections, same),
  ];
  const own = session === undefined ? [] : ['\n', ...sessionText(session)];
  return [`${title}\n`, ...own, `\n${lines.join('\n')}`.trimEnd(), '\n'];
}

/** Whether the change cuts the user's own session; each line ended. */
export function sessionText({ flow, cut }: NonNullable<ChangeEffects['session']>): Exclude<StyledText, string> {
  if (cut === undefined) return [`your ssh session ${formatFlow(flow)} goes on\n`];
  return [
    { style: 'error', text: `YOUR SSH SESSION ${formatFlow(flow)} WOULD BE CUT` },
    '\n',
    `  now   ${formatDecision({ action: 'allow', rule: cut.before.rule })}\n`,
    `  then  ${formatDecision({ action: 'deny', rule: cut.after.rule })}\n`,
  ];
}

function changeLines(differences: readonly Difference[], policies: readonly HostPolicy[]): readonly string[] {
  const byPlace = new Map<string, Difference[]>();
  for (const difference of differences) {
    const place = `newly ${changeOf(difference)}, ${formatPlace(difference, policies)}`;
    const atPlace = byPlace.get(place) ?? [];
    byPlace.set(place, atPlace);
    atPlace.push(difference);
  }
  return [...byPlace].flatMap(([place, list]) => [
    place,
    ...list.flatMap((difference) => [
      `  ${formatTraffic(difference.traffic, difference.family)} ${difference.direction === 'inbound' ? 'from' : 'to'} ${formatRemotes(difference)}`,
      `    now   ${formatDecision(difference.before)}`,
      `    then  ${formatDecision(difference.after)}`,
    ]),
    '',
  ]);
}

function formatDecision({
  action,
  rule,
  reason,
}: Pick<RuleDecision, 'action' | 'rule'> & Partial<RuleDecision>): string {
  const word = action.padEnd(5);
  if (rule !== undefined)
    return `${word}  ${formatRuleName(rule.origin)}  ${rule.origin.span.file}:${rule.origin.span.line}`;
  if (reason !== 'unmanaged') return `${word}  no rule matches`;
  return `${word}  ${action === 'allow' ? 'not filtered: ' : ''}the policy does not name the interface`;
}

function memberLines(members: readonly MemberChange[]): readonly string[] {
  if (members.length === 0) return [];
  const word = { securityGroup: 'security group', addressGroup: 'address group' } as const;
  return [
    'members',
    ...members.flatMap(({ kind, name, joined, left }) => [
      ...(joined.length === 0
        ? []
        : [`  ${word[kind]} ${name}: ${formatIntervals(joined)} ${joined.length === 1 ? 'joins' : 'join'}`]),
      ...(left.length === 0
        ? []
        : [`  ${word[kind]} ${name}: ${formatIntervals(left)} ${left.length === 1 ? 'leaves' : 'leave'}`]),
    ]),
    '',
  ];
}

function connectionLines(connections: ChangeEffects['connections'], same: boolean): readonly string[] {
  if (connections.kind === 'unknown') return same ? [] : [`live connections are not known: ${connections.reason}`];
  const { cut } = connections;
  if (cut.length === 0) return same ? [] : ['no live connection would be cut'];
  return [
    `live connections that would be cut: ${cut.length}`,
    ...cut.slice(0, MAX_SHOWN).map(({ flow, interface: name }) => `  ${formatFlow(flow)} on ${name}`),
    ...(cut.length > MAX_SHOWN ? [`  and ${cut.length - MAX_SHOWN} more`] : []),
  ];
}

function formatFlow({ protocol, source, destination, sourcePort, destinationPort }: Flow): string {
  const end = (address: Address, port: number | undefined): string => {
    const text = formatAddress(address);
    return port === undefined ? text : `${address.family === 'ipv6' ? `[${text}]` : text}:${port}`;
  };
  return `${protocolName(protocol, source.family)} ${end(source, sourcePort)} -> ${end(destination, destinationPort)}`;
}
