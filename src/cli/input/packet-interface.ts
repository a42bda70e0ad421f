import { type HostPolicy, type HostState, patternMatches } from '#core/model/policy/host.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import { findInstance } from '#core/model/policy/find-instance.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { UsageError } from '#cli/framework/command.ts';

/** What tells the interface of a packet. */
interface PacketContext {
  readonly hostPolicy: HostPolicy;
  readonly host: HostState;
  readonly policy: Policy;
}

/** The packet of a query on the interface `named`, or on the one that can be told: the only one, or the one that has the packet's local address. */
export function completePacket(
  packet: Omit<Packet, 'interface'>,
  named: string | undefined,
  { hostPolicy, host, policy }: PacketContext,
): Packet {
  if (named !== undefined) return { ...packet, interface: named };
  const local = packet.direction === 'inbound' ? packet.destination : packet.source;
  const isLocal = ({ family, value }: Packet['source']): boolean => family === local.family && value === local.value;
  const bindings = policy.instances.get(hostPolicy.instance)?.interfaces ?? [];
  const held = findInstance(policy, host) === hostPolicy.instance ? host.interfaces : [];
  const byAddress =
    bindings.find(({ addresses }) => addresses !== 'dynamic' && addresses.some(isLocal))?.pattern ??
    held.find(({ addresses }) => addresses.some(isLocal))?.name;
  const [only] = bindings;
  const pattern = byAddress ?? (bindings.length === 1 ? only?.pattern : undefined);
  if (pattern === undefined) {
    throw new UsageError(
      `which interface? say --interface: ${bindings.map((binding) => binding.pattern).join(', ') || `${hostPolicy.instance} has none`}`,
    );
  }
  // A glob stands for its interfaces: one that the host has, or one of the glob's own name.
  const name = host.interfaces.find((one) => one.name !== 'lo' && patternMatches(pattern, one.name))?.name;
  return { ...packet, interface: name ?? (pattern === '*' ? 'eth0' : pattern.replace(/\*$/, '0')) };
}
