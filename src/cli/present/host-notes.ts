import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { quote } from '#core/diagnostics/quote.ts';
import type { HostState } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';

/** What a valid policy comes to on one host. */
export interface HostNote {
  readonly message: string;
  readonly help: string;
}

/**
 * What the policy does not do on `host` though it is valid: no instance is this host, or the host has no interface of a
 * name that its instance has. A policy is also checked where it is not meant for, so none of this is a mistake.
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
