import type { Family } from '#core/model/net/address.ts';
import { isWholeFamily } from '#core/model/net/interval.ts';
import type { Match, PacketEnd } from '#core/model/nft/ruleset.ts';
import type { PlatformFlow } from '#core/model/policy/platform.ts';
import { ICMP_REQUEST_OF_REPLY } from '#core/model/policy/platform.ts';
import { ICMPV6, IGMP, UDP } from '#core/model/policy/protocols.ts';
import type { Remote, Traffic } from '#core/model/policy/rule.ts';
import type { SetRegistry } from './set-registry.ts';

/** Which packets of a flow a chain is for, and so which fields of a packet stand for the rule's remote and ports. */
export type PacketRole = 'inbound' | 'outbound' | 'replyToInbound';

/** The end of a packet that is the remote, for each role. */
export const REMOTE_END: Readonly<Record<PacketRole, PacketEnd>> = {
  inbound: 'source',
  outbound: 'destination',
  replyToInbound: 'destination',
};

/** The end of a packet whose port is the destination port of the flow's first packet, for each role. */
export const PORT_END: Readonly<Record<PacketRole, PacketEnd>> = {
  inbound: 'destination',
  outbound: 'destination',
  replyToInbound: 'source',
};

/** The matches for a rule's traffic; undefined if no packet of the role can be such traffic. */
export function trafficMatches(traffic: Traffic, role: PacketRole, sets: SetRegistry): readonly Match[] | undefined {
  switch (traffic.kind) {
    case 'all':
      return [];
    case 'protocol':
      return [{ kind: 'protocol', protocol: traffic.protocol }];
    case 'ports':
      return [{ kind: 'port', end: PORT_END[role], protocol: traffic.protocol, port: sets.ports(traffic.ports) }];
    case 'icmp': {
      if (role !== 'replyToInbound') return [{ ...traffic, types: [traffic.type] }];
      const replies = [...ICMP_REQUEST_OF_REPLY[traffic.protocol]].filter(([, request]) => request === traffic.type);
      return replies.length === 0 ? undefined : [{ ...traffic, types: replies.map(([reply]) => reply) }];
    }
  }
}

/** The matches for a rule's remote and family: one list for each set to look into; any of the lists may match. */
export function remoteMatches(
  remote: Remote,
  family: Family,
  { role, sets }: { role: PacketRole; sets: SetRegistry },
): readonly (readonly Match[])[] {
  const end = REMOTE_END[role];
  switch (remote.kind) {
    case 'any':
      return [[{ kind: 'family', family }]];
    case 'interval':
      return [
        [
          isWholeFamily(remote.interval)
            ? { kind: 'family', family }
            : { kind: 'address', end, family, address: remote.interval },
        ],
      ];
    case 'securityGroup':
    case 'addressGroup':
      return sets.setsOf(remote, family).map((set): Match[] => [{ kind: 'address', end, family, address: { set } }]);
  }
}

/** The matches for built-in traffic: one list for each combination of source and destination range. */
export function platformMatches({ family, match, source, destination }: PlatformFlow): readonly (readonly Match[])[] {
  const what = platformTraffic(match, family);
  const sources: readonly (readonly Match[])[] = source?.map((address) => [
    { kind: 'address', end: 'source', family, address },
  ]) ?? [[]];
  const destinations: readonly (readonly Match[])[] = destination?.map((address) => [
    { kind: 'address', end: 'destination', family, address },
  ]) ?? [[]];
  return sources.flatMap((from) =>
    destinations.map((to) => [...what, { kind: 'family', family } as const, ...from, ...to]),
  );
}

function platformTraffic(match: PlatformFlow['match'], family: Family): readonly Match[] {
  switch (match.kind) {
    case 'udp': {
      const port = (end: PacketEnd, number: number): Match => ({
        kind: 'port',
        end,
        protocol: UDP,
        port: { from: number, to: number },
      });
      const sources = match.sourcePort === 'any' ? [] : [port('source', match.sourcePort)];
      return [port('destination', match.destinationPort), ...sources];
    }
    case 'icmpv6':
      return [
        { kind: 'icmp', protocol: ICMPV6, types: match.types, code: match.code },
        { kind: 'hopLimit', family, value: match.hopLimit },
      ];
    case 'igmp':
      return [
        { kind: 'protocol', protocol: IGMP },
        { kind: 'hopLimit', family, value: match.hopLimit },
      ];
  }
}
