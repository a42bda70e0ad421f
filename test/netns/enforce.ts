import { loadPolicy } from '#core/load-policy.ts';
import type { Before, InForce } from '#core/model/nft/in-force.ts';
import { scriptText } from '#core/model/nft/script.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { PolicyReader } from '#core/model/policy/policy-reader.ts';
import { locateHost } from '#core/read/3-resolve/locate-host.ts';
import { compile } from '#core/translate/4-compile/compile.ts';
import type { Shape } from '#core/translate/4-compile/compile-rule-list.ts';
import { renderChange, renderLabels } from '#core/translate/6-change/render-change.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import type { World } from './harness/world.ts';

/** A host without interfaces of its own to speak of: policies in tests list their addresses. */
export const BARE_HOST: HostState = { hostname: 'host', machineId: '', interfaces: [] };

/** The policy that a text means, with list files given by name; throws what is wrong with it. */
export async function policyOf(text: string, lists: Readonly<Record<string, string>> = {}): Promise<Policy> {
  const reader: PolicyReader = {
    readPolicy: async () => ({ kind: 'text', file: 'policy.yaml', text }),
    readDropIns: async () => ({ read: [], passedOver: [] }),
    readList: async (_document, name) => ({ kind: 'text', file: name, text: lists[name] ?? '' }),
  };
  const { policy, diagnostics } = await loadPolicy(reader);
  if (policy !== undefined) return policy;
  throw new Error(diagnostics.map(({ span, message }) => `${span.line}:${span.column}: ${message}`).join('\n'));
}

/** The policy that a text means, as the instance `host` sees it. */
export async function hostPolicyOf(text: string, { host = BARE_HOST, instance = 'host' } = {}): Promise<HostPolicy> {
  const located = locateHost(await policyOf(text), host, instance);
  if (located.kind === 'found') return located.hostPolicy;
  throw new Error(located.message);
}

/**
 * Brings a policy into force in the world's host as the daemon does, transaction by transaction, in the shape that is
 * chosen unless one is forced. Returns what is in force then, to be given for the next change.
 */
export async function enforce(
  world: World,
  hostPolicy: HostPolicy,
  before: Before,
  shape: Shape = 'chosen',
): Promise<InForce> {
  const ruleset = compile(hostPolicy, hashContent, shape);
  const { change } = renderChange(ruleset, before, hashContent);
  for (const { script } of change.transactions) await world.nft(scriptText(script));
  return change.next;
}

/** Puts labels to use again once they are used up, as the daemon does; no flow may be known to conntrack. */
export async function useLabelsAnew(world: World, inForce: InForce | undefined): Promise<InForce | undefined> {
  const change = inForce?.labels === 'none' ? renderLabels(inForce, { cleared: true }) : undefined;
  for (const { script } of change?.transactions ?? []) await world.nft(scriptText(script));
  return change?.next ?? inForce;
}
