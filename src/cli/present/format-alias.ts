import type { InterfaceStatus } from '#api/status.ts';

/** The name or glob of the policy that applies to an interface, where that is not the interface's name. */
export function formatAlias({ pattern, as }: Pick<InterfaceStatus, 'pattern' | 'as'>): string {
  switch (as) {
    case 'altname':
      return ` (by its other name ${pattern})`;
    case 'vrf':
      return ` (as its VRF: ${pattern})`;
    case undefined:
      return ` (${pattern})`;
  }
}
