import type { Packet } from '#core/model/packet/packet.ts';
import { type Binding, bindingOf, type HostPolicy } from '#core/model/policy/host.ts';
import { ICMP_ERRORS, ICMP_REQUEST_OF_REPLY, OWN_ADDRESS } from '#core/model/policy/platform.ts';
import type { PlatformTraffic } from '#core/model/policy/policy.ts';
import { icmpProtocol, isIcmp } from '#core/model/policy/protocol-lookup.ts';
import type { Action, Direction, Rule } from '#core/model/policy/rule.ts';
import { platformTrafficOf } from './match-platform.ts';
import { ruleMatches } from './match-rule.ts';
import { isOwnAddress } from './own-address.ts';

/** Why a packet gets its verdict: a group's rule, no rule, built-in traffic, a management rule, or the flow it belongs to. */
export type Reason = 'rule' | 'default' | 'platform' | 'management' | 'state';

/** The verdict on a packet, and why. */
export interface Decision {
  readonly verdict: Action;
  readonly reason: Reason;
  /** The rule that decides; for a reply (reason `state`) the inbound rule that allows its flow. */
  readonly rule: Rule | undefined;
  /** The rules after the deciding one that match too, in deciding order. */
  readonly runnersUp: readonly Rule[];
  /** Which built-in traffic the packet is, if that is the reason. */
  readonly platform: keyof PlatformTraffic | 'loopback' | typeof OWN_ADDRESS | undefined;
  /** The binding of the packet's interface; undefined for loopback and for interfaces that the policy does not name. */
  readonly binding: Binding | undefined;
}

/** The rules for an interface that the policy does not name, if it denies those: as for one without groups. */
const UNMANAGED = { inbound: [], outbound: [], invalid: 'drop' } as const;

/** Evaluates a packet by a policy: SEMANTICS.md, section by section. */
export function evaluate(policy: HostPolicy, packet: Packet): Decision {
  const binding = bindingOf(policy, packet.interface);
  const decide = (verdict: Action, reason: Reason, more: Partial<Decision> = {}): Decision => ({
    verdict,
    reason,
    rule: undefined,
    runnersUp: [],
    platform: undefined,
    binding,
    ...more,
  });
  if (packet.interface === 'lo') return decide('allow', 'platform', { platform: 'loopback', binding: undefined });
  if (binding === undefined && policy.unmanagedInterfaces === 'allow') return decide('allow', 'default');
  const ordered = binding ?? UNMANAGED;
  const platform = platformTrafficOf(policy.platform, packet);
  if (platform !== undefined) return decide('allow', 'platform', { platform });
  const matching = (direction: Direction, candidate: Packet): readonly Rule[] =>
    [...policy.management[direction], ...ordered[direction]].filter((rule) => ruleMatches(policy, rule, candidate));
  const isOwn = isOwnAddress(policy, packet);
  switch (packet.state) {
    case 'invalid':
      if (ordered.invalid === 'drop' && !isOwn) return decide('deny', 'state');
      break;
    case 'related':
      if (isIcmpError(packet)) return decide('allow', 'state');
      // Otherwise conntrack calls only flows related that a helper announced.
      if (policy.platform.helpers && !isIcmp(packet.protocol)) return decide('allow', 'state');
      break;
    case 'established':
      // Changes of outbound rules spare live flows; inbound flows follow the rules in force now.
      if (packet.direction === 'outbound') return decide('allow', 'state');
      break;
    case 'reply': {
      if (packet.direction === 'inbound') return decide('allow', 'state');
      // The flow was opened from outside: its replies pass while the inbound rules allow the flow.
      const request = requestOf(packet);
      const [rule, ...runnersUp] = request === undefined ? [] : matching('inbound', request);
      if (rule?.action === 'allow') return decide('allow', 'state', { rule, runnersUp });
      break;
    }
    case 'new':
      break;
  }
  if (isOwn) return decide('deny', 'platform', { platform: OWN_ADDRESS });
  const [rule, ...runnersUp] = matching(packet.direction, packet);
  if (rule === undefined) return decide('deny', 'default');
  return decide(rule.action, rule.origin.group === undefined ? 'management' : 'rule', { rule, runnersUp });
}

function isIcmpError({ source, protocol, icmpType }: Packet): boolean {
  const icmp = icmpProtocol(source.family);
  return protocol === icmp && icmpType !== undefined && ICMP_ERRORS[icmp].includes(icmpType);
}

/** The packet that `reply` answers; undefined for ICMP types that answer nothing. */
function requestOf(reply: Packet): Packet | undefined {
  const request: Packet = {
    ...reply,
    direction: 'inbound',
    source: reply.destination,
    destination: reply.source,
    sourcePort: reply.destinationPort,
    destinationPort: reply.sourcePort,
  };
  // Protocol 58 in IPv4 has no special meaning, nor has 1 in IPv6.
  const icmp = icmpProtocol(reply.source.family);
  if (reply.protocol !== icmp) return request;
  const icmpType = reply.icmpType === undefined ? undefined : ICMP_REQUEST_OF_REPLY[icmp].get(reply.icmpType);
  return icmpType === undefined ? undefined : { ...request, icmpType };
}
