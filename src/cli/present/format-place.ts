import type { HostPolicy } from '#core/model/policy/host.ts';

/** The glob for every interface that no other name or glob of the policy matches. */
const EVERY = '*';

/**
 * The place of a difference as people read it: `inbound on eth0`. `policies` are those compared: `*` is every interface if
 * they name no others.
 */
export function formatPlace(
  { direction, interface: pattern }: { readonly direction: string; readonly interface: string | undefined },
  policies: readonly Pick<HostPolicy, 'bindings'>[],
): string {
  if (pattern === undefined) return `${direction} on every other interface`;
  if (pattern !== EVERY) return `${direction} on ${pattern}`;
  const isAlone = policies.every(({ bindings }) => bindings.every((binding) => binding.pattern === EVERY));
  return `${direction} on every ${isAlone ? '' : 'other '}interface (${EVERY})`;
}
