import type { Address } from '#core/model/net/address.ts';
import { type EntriesByFamily, entriesContain } from '#core/model/net/address-entries.ts';
import { intervalContains } from '#core/model/net/interval.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import type { Remote, Rule, Traffic } from '#core/model/policy/rule.ts';

/** Whether `rule` matches `packet`, by the packet's own direction: an inbound packet's remote is its source. */
export function ruleMatches(policy: HostPolicy, rule: Rule, packet: Packet): boolean {
  return (
    rule.family === packet.source.family &&
    trafficMatches(rule.traffic, packet) &&
    remoteMatches(policy, rule.remote, packet)
  );
}

function trafficMatches(traffic: Traffic, packet: Packet): boolean {
  switch (traffic.kind) {
    case 'all':
      return true;
    case 'protocol':
      return packet.protocol === traffic.protocol;
    case 'ports': {
      const port = packet.destinationPort;
      if (packet.protocol !== traffic.protocol || port === undefined) return false;
      return traffic.ports.some(({ from, to }) => from <= port && port <= to);
    }
    case 'icmp':
      return (
        packet.protocol === traffic.protocol &&
        packet.icmpType === traffic.type &&
        (traffic.code === 'any' || packet.icmpCode === traffic.code)
      );
  }
}

function remoteMatches(policy: HostPolicy, remote: Remote, packet: Packet): boolean {
  const address = packet.direction === 'inbound' ? packet.source : packet.destination;
  switch (remote.kind) {
    case 'any':
      return true;
    case 'interval':
      return intervalContains(remote.interval, address);
    case 'addressGroup':
      return isAmong(policy.addressGroups.get(remote.name), address);
    case 'securityGroup':
      return isAmong(policy.members.get(remote.name), address);
  }
}

function isAmong(entries: EntriesByFamily | undefined, address: Address): boolean {
  return entries !== undefined && entriesContain(entries, address);
}
