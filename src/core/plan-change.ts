import type { Before } from '#core/model/nft/in-force.ts';
import type { Script } from '#core/model/nft/script.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { PortRange } from '#core/model/policy/rule.ts';
import { fallbackPolicy, limitedPolicy } from '#core/read/3-resolve/fallback-policy.ts';
import { compile } from '#core/translate/4-compile/compile.ts';
import { type RenderedChange, renderChange } from '#core/translate/6-change/render-change.ts';

/** Compiles a policy for its host and plans the change from what is applied now. `digest` identifies a text. */
export function planChange(hostPolicy: HostPolicy, before: Before, digest: (text: string) => string): RenderedChange {
  const ruleset = compile(hostPolicy, digest);
  return renderChange(ruleset, before, digest);
}

/** The script that a host boots with if the rules last in force do not load; see {@link fallbackPolicy}. */
export function planFallback(
  hostPolicy: HostPolicy,
  sshPorts: readonly PortRange[],
  digest: (text: string) => string,
): Script {
  return planChange(fallbackPolicy(hostPolicy, sshPorts), undefined, digest).whole();
}

/** The script that closes a host which has no policy that can be trusted; see {@link limitedPolicy}. */
export function planLimited(host: HostState, sshPorts: readonly PortRange[], digest: (text: string) => string): Script {
  return planChange(limitedPolicy(host, sshPorts), undefined, digest).whole();
}
