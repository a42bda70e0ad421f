import { compareMembers, type MemberChange } from '#core/meaning/compare/compare-members.ts';
import { comparePolicies, type Difference } from '#core/meaning/compare/compare-policies.ts';
import { type CutFlow, cutFlows } from '#core/meaning/flows/cut-flows.ts';
import type { Flow } from '#core/model/packet/flow.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { InstanceName } from '#core/model/policy/names.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import { PLATFORM_DEFAULTS } from '#core/model/policy/platform.ts';
import type { PlatformTraffic } from '#core/model/policy/policy.ts';

/** A change of a host's policy; `before` is undefined if the host has no rules. */
export interface PolicyChange {
  readonly before: HostPolicy | undefined;
  readonly after: HostPolicy;
}

/** The live flows of a host, or why they could not be read. */
export type LiveFlows =
  | { readonly kind: 'known'; readonly flows: readonly Flow[] }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Where a change takes effect. */
export interface ChangedHost {
  readonly host: HostState;
  readonly liveFlows: LiveFlows;
  /** The ssh connection of the user who asks. */
  readonly session: Flow | undefined;
}

/** The packets that one comparison covers. */
export type ComparedPackets = Pick<Difference, 'interface' | 'direction' | 'family'>;

/** What a change of policy does to a host. */
export interface ChangeEffects {
  /** The policies compared. */
  readonly policies: readonly HostPolicy[];
  readonly differences: readonly Difference[];
  /** Packets that were not compared in time. */
  readonly leftOut: readonly ComparedPackets[];
  readonly platform: readonly { readonly name: keyof PlatformTraffic; readonly after: boolean }[];
  readonly members: readonly MemberChange[];
  /** The live connections that the change cuts. */
  readonly connections:
    | { readonly kind: 'known'; readonly cut: readonly CutFlow[] }
    | { readonly kind: 'unknown'; readonly reason: string };
  /** The user's own ssh connection; `cut` is undefined if the change does not cut it. */
  readonly session: { readonly flow: Flow; readonly cut: CutFlow | undefined } | undefined;
}

/** Computes what a change does: to packets of new connections, to members of groups and to live connections. */
export function changeEffects(
  { before: changed, after }: PolicyChange,
  { host, liveFlows, session }: ChangedHost,
  patience: Patience,
): ChangeEffects {
  const before = changed ?? unfiltered(after.instance);
  const change = { before, after };
  const leftOut: ComparedPackets[] = [];
  const onLeftOut = (packets: ComparedPackets): void => void leftOut.push(packets);
  const cutOf = (flows: readonly Flow[]): readonly CutFlow[] => cutFlows(flows, host.interfaces, change);
  return {
    policies: [before, after],
    differences: comparePolicies(before, after, { patience, onLeftOut }),
    leftOut,
    platform: changed === undefined ? [] : platformChanges(changed, after),
    members: compareMembers(before, after),
    connections: liveFlows.kind === 'known' ? { kind: 'known', cut: cutOf(liveFlows.flows) } : liveFlows,
    session: session === undefined ? undefined : { flow: session, cut: cutOf([session])[0] },
  };
}

/** A host without rules: everything passes. */
function unfiltered(instance: InstanceName): HostPolicy {
  return {
    instance,
    unmanagedInterfaces: 'allow',
    platform: PLATFORM_DEFAULTS,
    held: [],
    accounts: { counters: false, logDenied: false, logRate: 1 },
    management: { inbound: [], outbound: [] },
    bindings: [],
    members: new Map(),
    addressGroups: new Map(),
  };
}

function platformChanges(before: HostPolicy, after: HostPolicy): ChangeEffects['platform'] {
  const switches = Object.keys(after.platform) as (keyof PlatformTraffic)[];
  return switches
    .filter((name) => before.platform[name] !== after.platform[name])
    .map((name) => ({ name, after: after.platform[name] }));
}
