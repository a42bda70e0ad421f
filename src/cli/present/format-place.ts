import type { HostPolicy } from '#core/model/policy/host.ts';

/** The glob that stands for every interface that no other name or glob of the policy matches. */
const EVERY = '*';

/**
 * Where a difference is, `inbound on eth0`, as people read it. `policies` are those compared: what they name besides tells
 * whether `*` is every interface.
 */
export function formatPlace(
  { direction, interface: pattern }: { readonly direction: string; readonly interface: string | undefined },
  policies: readonly Pick<HostPolicy, 'bindings'>[],
): string {
  if (pattern === undefined) return `${direction} on every other interface`;
  if (pattern !== EVERY) return `${direction} on ${pattern}`;
  const isAlone = policies.every(({ bindings }) => bindings.every((one) => one.pattern === EVERY));
  return `${direction} on every ${isAlone ? '' : 'other '}interface (${EVERY})`;
}
