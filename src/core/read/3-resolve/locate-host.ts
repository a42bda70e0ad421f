import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import { matchHost } from '#core/model/policy/find-instance.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import { resolveHost } from './host-policy.ts';

/** The policy as a host sees it, or why the host is not in it. */
export type LocatedHost =
  | { readonly kind: 'found'; readonly hostPolicy: HostPolicy; readonly doubt: HostDoubt | undefined }
  | { readonly kind: 'absent'; readonly message: string; readonly help: string };

/** Why a host that is the instance `*` may be meant to be another one. */
export interface HostDoubt {
  readonly message: string;
  readonly help: string;
}

/**
 * Finds the host in the policy, as the instance called `name` or, without a name, by its machine id and host name, and
 * resolves the policy for it.
 */
export function locateHost(policy: Policy, host: HostState, name: string | undefined): LocatedHost {
  return name === undefined ? locateByIdentity(policy, host) : locateByName(policy, host, name);
}

function locateByName(policy: Policy, host: HostState, name: string): LocatedHost {
  const names = [...policy.instances.keys()].toSorted();
  const instance = names.find((known) => known === name);
  if (instance !== undefined)
    return { kind: 'found', hostPolicy: resolveHost(policy, host, instance), doubt: undefined };
  const similar = didYouMean(name, names);
  const help =
    similar === undefined ? `its instances are: ${names.join(', ') || 'none'}` : `did you mean \`${similar}\`?`;
  return { kind: 'absent', message: `the policy has no instance \`${name}\``, help };
}

function locateByIdentity(policy: Policy, host: HostState): LocatedHost {
  const { instance, alike } = matchHost(policy, host);
  if (instance === undefined) return absentHost(host, alike);
  const doubt = alike.length === 0 ? undefined : doubtAbout(host, alike);
  return { kind: 'found', hostPolicy: resolveHost(policy, host, instance), doubt };
}

function absentHost({ hostname, machineId }: HostState, alike: readonly InstanceName[]): LocatedHost {
  const choice =
    alike.length === 0
      ? ''
      : `${namesText(alike)} ${alike.length === 1 ? 'has' : 'have'} a similar name: distinguish them by \`hostname\` or \`machineId\`; or `;
  return {
    kind: 'absent',
    message: `no instance of the policy is this host (host name \`${hostname}\`, machine id \`${machineId}\`)`,
    help: `${choice}name an instance like the host, give one its \`hostname\` or \`machineId\`, add an instance \`"*"\`, or use --instance NAME`,
  };
}

function doubtAbout({ hostname }: HostState, alike: readonly InstanceName[]): HostDoubt {
  return {
    message: `this host is the instance \`*\`, though its host name \`${hostname}\` is like that of ${namesText(alike)}`,
    help: 'if it is one of them, give that one its `hostname` or `machineId`, or use --instance NAME',
  };
}

function namesText(names: readonly InstanceName[]): string {
  return names.map((name) => `\`${name}\``).join(' and ');
}
