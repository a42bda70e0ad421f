import { type Decision, evaluate } from '#core/meaning/evaluate/evaluate.ts';
import type { Address } from '#core/model/net/address.ts';
import type { Flow } from '#core/model/packet/flow.ts';
import type { Packet } from '#core/model/packet/packet.ts';
import type { HostInterface, HostPolicy } from '#core/model/policy/host.ts';

/** A live flow that a change would end. */
export interface CutFlow {
  readonly flow: Flow;
  readonly interface: string;
  readonly before: Decision;
  readonly after: Decision;
}

/**
 * The flows that `before` allows and `after` denies, among those that were opened from outside to an address of the
 * host. A change spares flows that the host opened.
 */
export function cutFlows(
  flows: readonly Flow[],
  interfaces: readonly HostInterface[],
  { before, after }: { readonly before: HostPolicy; readonly after: HostPolicy },
): readonly CutFlow[] {
  const holders = new Map<string, string>(
    interfaces.flatMap(({ name, addresses }) => addresses.map((address) => [keyOf(address), name] as const)),
  );
  return flows.flatMap((flow): CutFlow[] => {
    const name = holders.get(keyOf(flow.destination));
    // Between the host's own addresses, packets go by loopback.
    if (name === undefined || name === 'lo' || holders.has(keyOf(flow.source))) return [];
    const packet: Packet = {
      ...flow,
      interface: name,
      direction: 'inbound',
      state: 'established',
      hopLimit: undefined,
    };
    const [old, current] = [evaluate(before, packet), evaluate(after, packet)];
    return old.verdict === 'allow' && current.verdict === 'deny'
      ? [{ flow, interface: name, before: old, after: current }]
      : [];
  });
}

function keyOf({ family, value }: Address): string {
  return `${family} ${value}`;
}
