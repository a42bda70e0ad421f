import { UsageError } from '#cli/framework/command.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { findInstance } from '#core/model/policy/find-instance.ts';
import { type HostPolicy, type HostState, patternMatches } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';

/** What determines the interface of a packet. */
interface PacketContext {
  readonly hostPolicy: HostPolicy;
  readonly host: HostState;
  readonly policy: Policy;
}

/**
 * The packet of a query with its interface: `named` if given, else the one with the packet's local address, else the only
 * one of the instance. Throws a UsageError if none of these determines it.
 */
export function completePacket(
  packet: Omit<Packet, 'interface'>,
  named: string | undefined,
  { hostPolicy, host, policy }: PacketContext,
): Packet {
  if (named !== undefined) return { ...packet, interface: named };
  const local = packet.direction === 'inbound' ? packet.destination : packet.source;
  const isLocal = ({ family, value }: Packet['source']): boolean => family === local.family && value === local.value;
  const bindings = policy.instances.get(hostPolicy.instance)?.interfaces ?? [];
  const interfaces = findInstance(policy, host) === hostPolicy.instance ? host.interfaces : [];
  const byAddress =
    bindings.find(({ addresses }) => addresses !== 'dynamic' && addresses.some(isLocal))?.pattern ??
    interfaces.find(({ addresses }) => addresses.some(isLocal))?.name;
  const [only] = bindings;
  const pattern = byAddress ?? (bindings.length === 1 ? only?.pattern : undefined);
  if (pattern === undefined) {
    throw new UsageError(
      `--interface is required: ${bindings.map((binding) => binding.pattern).join(', ') || `${hostPolicy.instance} has none`}`,
    );
  }
  // For a glob, an interface that it matches: one of the host, or an invented one.
  const name = host.interfaces.find(
    (candidate) => candidate.name !== 'lo' && patternMatches(pattern, candidate.name),
  )?.name;
  return { ...packet, interface: name ?? (pattern === '*' ? 'eth0' : pattern.replace(/\*$/, '0')) };
}
