import { evaluate } from '#core/meaning/evaluate/evaluate.ts';
import { localAddresses } from '#core/meaning/evaluate/own-address.ts';
import { EXPERIMENTAL_PROTOCOLS, endpointOn, HOP_LIMIT, SOURCE_PORT } from '#core/meaning/headerspace/witness.ts';
import { FAMILIES } from '#core/model/net/address.ts';
import type { ListedTable } from '#core/model/nft/listed-table.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { ICMP_REQUEST_OF_REPLY, LOOPBACK, PLATFORM_FLOWS, type PlatformFlow } from '#core/model/policy/platform.ts';
import { icmpProtocol } from '#core/model/policy/protocol-lookup.ts';
import { ICMPV6, IGMP, UDP } from '#core/model/policy/protocols.ts';
import type { NamedInterface, TableDifference } from './table-difference.ts';
import { traceTable } from './table-tracer.ts';

/** A source port that some built-in traffic uses, and one that none does. */
const ANY_SOURCE_PORTS = [547, SOURCE_PORT];

/** Compares built-in traffic and the replies to pings by sample packets: what the policy says of each, and what the table does. */
export function* platformDifferences(
  policy: HostPolicy,
  table: ListedTable,
  names: readonly NamedInterface[],
): Generator<TableDifference> {
  for (const { named, name } of [...names, { named: 'lo', name: 'lo' }]) {
    for (const packet of samples(policy, name)) {
      const { direction, protocol, icmpType = 0, icmpCode = 0, hopLimit = HOP_LIMIT } = packet;
      const inbound = direction === 'inbound';
      const [remote, local] = inbound ? [packet.source, packet.destination] : [packet.destination, packet.source];
      const { family } = remote;
      const { ranges } = traceTable(table, {
        direction,
        interface: name,
        family,
        local: local.value,
        protocol,
        sourcePort: packet.sourcePort ?? 0,
        destinationPort: packet.destinationPort ?? 0,
        icmpType,
        icmpCode,
        state: packet.state === 'reply' ? 'established' : 'new',
        flowDirection: packet.state === 'reply' ? 'reply' : 'original',
        hopLimit,
        own: localAddresses(policy, name, family),
      });
      const found = ranges.find(({ from, to }) => from <= remote.value && remote.value <= to)?.action ?? 'deny';
      const { verdict, rule } = evaluate(policy, packet);
      if (found === verdict) continue;
      const l4Value = packet.destinationPort ?? 256 * icmpType + icmpCode;
      yield {
        interface: named,
        inVrf: false,
        direction,
        family,
        state: packet.state,
        traffic: { protocols: [{ from: protocol, to: protocol }], l4Values: { from: l4Value, to: l4Value } },
        remote: { from: remote.value, to: remote.value },
        expected: { action: verdict, rule },
        found,
        witness: packet,
      };
    }
  }
}

function samples(policy: HostPolicy, name: string): readonly Packet[] {
  const none = { sourcePort: undefined, destinationPort: undefined, icmpType: undefined, icmpCode: undefined };
  const flows = PLATFORM_FLOWS.flatMap(({ direction, family, match, source, destination }): readonly Packet[] => {
    const usual = endpointOn(name, policy, family).local;
    const far = { family, value: usual.value + 8n };
    const [localRanges, remoteRanges] = direction === 'inbound' ? [destination, source] : [source, destination];
    const locals = localRanges === undefined ? [usual] : localRanges.map(({ from }) => ({ family, value: from }));
    const remotes =
      remoteRanges === undefined ? [far] : [...remoteRanges.map(({ from }) => ({ family, value: from })), far];
    return locals.flatMap((local) =>
      remotes.flatMap((remote): readonly Packet[] => {
        const ends =
          direction === 'inbound' ? { source: remote, destination: local } : { source: local, destination: remote };
        const common = { ...ends, interface: name, direction, state: 'new' } as const;
        return contentsOf(match).map((content) => ({ ...none, ...common, ...content }));
      }),
    );
  });
  const replies = FAMILIES.flatMap((family): readonly Packet[] => {
    const protocol = icmpProtocol(family);
    const local = endpointOn(name, policy, family).local;
    return [...ICMP_REQUEST_OF_REPLY[protocol].keys()].map((icmpType) => ({
      ...none,
      interface: name,
      direction: 'outbound',
      state: 'reply',
      source: local,
      destination: { family, value: local.value + 8n },
      protocol,
      icmpType,
      icmpCode: 0,
      hopLimit: HOP_LIMIT,
    }));
  });
  // Packets to loopback addresses, which no template has at the host's end.
  const toLoopback = LOOPBACK.map(({ family, from }): Packet => {
    const { value } = endpointOn(name, policy, family).local;
    return {
      ...none,
      interface: name,
      direction: 'inbound',
      state: 'new',
      source: { family, value: value + 8n },
      destination: { family, value: from },
      protocol: EXPERIMENTAL_PROTOCOLS[0],
      hopLimit: HOP_LIMIT,
    };
  });
  return [...flows, ...replies, ...toLoopback];
}

type Content = Pick<Packet, 'protocol' | 'hopLimit'> &
  Partial<Pick<Packet, 'sourcePort' | 'destinationPort' | 'icmpType' | 'icmpCode'>>;

/** Packets of built-in traffic, and the same with a hop limit that only forwarded packets have. */
function contentsOf(match: PlatformFlow['match']): readonly Content[] {
  switch (match.kind) {
    case 'udp': {
      const { sourcePort, destinationPort } = match;
      return (sourcePort === 'any' ? ANY_SOURCE_PORTS : [sourcePort]).map((port) => ({
        protocol: UDP,
        sourcePort: port,
        destinationPort,
        hopLimit: HOP_LIMIT,
      }));
    }
    case 'icmpv6':
      return match.types.flatMap((icmpType) =>
        [match.hopLimit, HOP_LIMIT].map((hopLimit) => ({ protocol: ICMPV6, icmpType, icmpCode: 0, hopLimit })),
      );
    case 'igmp':
      return [match.hopLimit, HOP_LIMIT].map((hopLimit) => ({ protocol: IGMP, hopLimit }));
  }
}
