import type { Packet } from '#core/model/packet/packet.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import { formatRuleName } from '#core/model/policy/rule.ts';
import { judge } from './oracle.ts';
import type { PlainInterface, PlainPolicy, PlainRule } from './plain-policy.ts';
import { readAddress } from './read-literals.ts';
import { readPlainPolicy } from './read-plain-policy.ts';

/** What a packet carries. */
export type Content = Partial<
  Pick<Packet, 'protocol' | 'sourcePort' | 'destinationPort' | 'icmpType' | 'icmpCode' | 'hopLimit'>
>;

const HOST: HostState = {
  hostname: 'host',
  machineId: '',
  interfaces: [
    { index: 1, name: 'lo', addresses: ['127.0.0.1', '::1', '192.0.2.99'].map(readAddress) },
    { index: 2, name: 'eth0', addresses: ['192.0.2.10', '2001:db8::10'].map(readAddress) },
    { index: 3, name: 'eth1', addresses: ['192.0.2.11'].map(readAddress) },
  ],
};

/** A TCP packet's content, to `destinationPort`. */
export function tcp(destinationPort: number, sourcePort = 40000): Content {
  return { protocol: 6, sourcePort, destinationPort };
}

/** A UDP packet's content, to `destinationPort`. */
export function udp(destinationPort: number, sourcePort = 40000): Content {
  return { protocol: 17, sourcePort, destinationPort };
}

/** An ICMP message. */
export function icmp(icmpType: number, icmpCode = 0): Content {
  return { protocol: 1, icmpType, icmpCode };
}

/** An ICMPv6 message; without a hop limit, that is taken to be right. */
export function icmpv6(icmpType: number, icmpCode = 0, hopLimit?: number): Content {
  return { protocol: 58, icmpType, icmpCode, hopLimit };
}

/** A new packet in by eth0 from `remote`, with `change` made to it. */
export function incoming(remote: string, content: Content, change: Partial<Packet> = {}): Packet {
  return { ...between(remote, localFor(remote), content), direction: 'inbound', ...change };
}

/** A new packet out by eth0 to `remote`, with `change` made to it. */
export function outgoing(remote: string, content: Content, change: Partial<Packet> = {}): Packet {
  return { ...between(localFor(remote), remote, content), direction: 'outbound', ...change };
}

function localFor(remote: string): string {
  return remote.includes(':') ? '2001:db8::10' : '192.0.2.10';
}

/** A new packet in by eth0, from one address to another. */
export function between(source: string, destination: string, content: Content): Packet {
  return {
    interface: 'eth0',
    direction: 'inbound',
    state: 'new',
    protocol: 253,
    sourcePort: undefined,
    destinationPort: undefined,
    icmpType: undefined,
    icmpCode: undefined,
    hopLimit: undefined,
    source: readAddress(source),
    destination: readAddress(destination),
    ...content,
  };
}

/** A policy for `host` whose eth0 has the one group `g` of these rules. */
export function policyOf(
  rules: { readonly inbound?: readonly PlainRule[]; readonly outbound?: readonly PlainRule[] },
  rest: Partial<PlainPolicy> = {},
): PlainPolicy {
  return {
    version: 1,
    securityGroups: { g: rules },
    instances: hostWith({ eth0: { securityGroups: ['g'] } }),
    ...rest,
  };
}

/** The instance `host` with these interfaces. */
export function hostWith(interfaces: Record<string, PlainInterface>): NonNullable<PlainPolicy['instances']> {
  return { host: { interfaces } };
}

/** The oracle's answer in words: verdict, reason, and the rule if one decided. */
export function answer(policy: PlainPolicy, packet: Packet): string {
  const { verdict, reason, rule } = judge(readPlainPolicy(policy), HOST, 'host' as InstanceName, packet);
  return [verdict, reason, ...(rule === undefined ? [] : [formatRuleName(rule.origin)])].join(' ');
}
