import { fallbackPolicy, limitedPolicy } from '#core/read/3-resolve/fallback-policy.ts';
import { matchHost } from '#core/model/policy/find-instance.ts';
import { resolveHost } from '#core/read/3-resolve/host-policy.ts';
import { compile } from '#core/translate/4-compile/compile.ts';
import { renderChange, type RenderedChange } from '#core/translate/6-change/render-change.ts';
import { didYouMean } from '#core/diagnostics/did-you-mean.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { Before } from '#core/model/nft/in-force.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { PortRange } from '#core/model/policy/rule.ts';
import type { Script } from '#core/model/nft/script.ts';

/** The policy as a host sees it, or why the host is not in it. */
export type Located =
  | { readonly kind: 'found'; readonly hostPolicy: HostPolicy; readonly doubt: Doubt | undefined }
  | { readonly kind: 'absent'; readonly message: string; readonly help: string };

/** Why a host that is `*` may be meant to be another instance. */
export interface Doubt {
  readonly message: string;
  readonly help: string;
}

/** Finds the host in the policy, as the instance `named` or by what the host is called, and resolves the policy for it. */
export function locateHost(policy: Policy, host: HostState, named: string | undefined): Located {
  const names = [...policy.instances.keys()].toSorted();
  const found =
    named === undefined ? matchHost(policy, host) : { instance: names.find((name) => name === named), alike: [] };
  const { instance, alike } = found;
  if (instance !== undefined) {
    const doubt = alike.length === 0 ? undefined : doubtOf(host.hostname, alike);
    return { kind: 'found', hostPolicy: resolveHost(policy, host, instance), doubt };
  }
  if (named !== undefined) {
    const near = didYouMean(named, names);
    const help = near === undefined ? `its instances are: ${names.join(', ') || 'none'}` : `did you mean \`${near}\`?`;
    return { kind: 'absent', message: `the policy has no instance \`${named}\``, help };
  }
  return {
    kind: 'absent',
    message: `no instance of the policy is this host (host name \`${host.hostname}\`, machine id \`${host.machineId}\`)`,
    help: `${alike.length === 0 ? '' : `${listOf(alike)} ${alike.length === 1 ? 'is' : 'are'} called alike: say which by \`hostname\` or \`machineId\`; or `}name an instance like the host, give one its \`hostname\` or \`machineId\`, add an instance \`"*"\`, or say --instance NAME`,
  };
}

function doubtOf(hostname: string, alike: readonly InstanceName[]): Doubt {
  return {
    message: `this host is the instance \`*\`, though its host name \`${hostname}\` is like that of ${listOf(alike)}`,
    help: 'where it is one of them, give that one its `hostname` or `machineId`, or say --instance NAME',
  };
}

function listOf(names: readonly InstanceName[]): string {
  return names.map((name) => `\`${name}\``).join(' and ');
}

/** Compiles a policy for its host and plans the change from what is there now. `digest` identifies a text. */
export function planChange(hostPolicy: HostPolicy, before: Before, digest: (text: string) => string): RenderedChange {
  return renderChange(compile(hostPolicy), before, digest);
}

/** The script that a host boots with where the rules last in force do not load; see {@link fallbackPolicy}. */
export function planFallback(
  hostPolicy: HostPolicy,
  sshPorts: readonly PortRange[],
  digest: (text: string) => string,
): Script {
  return renderChange(compile(fallbackPolicy(hostPolicy, sshPorts)), undefined, digest).whole();
}

/** The script that closes a host which has no policy that can be trusted; see {@link limitedPolicy}. */
export function planLimited(host: HostState, sshPorts: readonly PortRange[], digest: (text: string) => string): Script {
  return renderChange(compile(limitedPolicy(host, sshPorts)), undefined, digest).whole();
}
