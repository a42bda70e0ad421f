import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { quote } from '#core/diagnostics/quote.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';

/** A note about a valid policy on one host. */
export interface HostNote {
  readonly message: string;
  readonly help: string;
}

/**
 * Notes where a valid policy does not fit `host`: no instance is the host, or the host lacks an interface that its
 * instance names. People also check policies on hosts that they are not for, so none of this is a mistake.
 */
export function hostNotes(policy: Policy, host: HostState): readonly HostNote[] {
  const located = locateHost(policy, host, undefined);
  if (located.kind === 'absent') {
    return [
      {
        message: located.message,
        help: 'if the policy is meant for it: name an instance like the host, give one its `hostname` or `machineId`, or add an instance `"*"`',
      },
    ];
  }
  const { instance, bindings } = located.hostPolicy;
  const there = host.interfaces.filter(({ name }) => name !== 'lo');
  const names = there.flatMap(({ name, altnames = [] }) => [name, ...altnames]);
  return bindings
    .map(({ pattern }): string => pattern)
    .filter((pattern) => pattern !== 'lo' && !pattern.includes('*') && !names.includes(pattern))
    .map((pattern) => {
      const near = didYouMean(pattern, names);
      return {
        message: `this host has no interface ${quote(pattern)}, which the instance ${quote(instance)} names`,
        help: `${near === undefined ? '' : `did you mean ${quote(near)}? `}it has ${there.map(({ name }) => quote(name)).join(', ') || 'none but loopback'}`,
      };
    });
}
