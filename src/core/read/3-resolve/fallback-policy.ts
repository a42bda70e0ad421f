import { FAMILIES } from '#core/model/net/address.ts';
import type { HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { GroupName, InstanceName, InterfacePattern } from '#core/model/policy/names.ts';
import { PLATFORM_DEFAULTS } from '#core/model/policy/platform.ts';
import { TCP } from '#core/model/policy/protocols.ts';
import type { Direction, PortRange, Rule, Traffic } from '#core/model/policy/rule.ts';

/** The file with the ports of ssh, which the fallback rules name as their origin. */
const CONFIGURATION = '/etc/secgroupd/boot.conf';

const GROUP = 'boot-fallback' as GroupName;

/**
 * The policy a host boots with if the rules last in force do not load: on the same interfaces, the policy's platform
 * traffic and management rules, ssh to `sshPorts` from anywhere, and everything out.
 */
export function fallbackPolicy(policy: HostPolicy, sshPorts: readonly PortRange[]): HostPolicy {
  const ssh: Traffic = { kind: 'ports', protocol: TCP, ports: sshPorts };
  const inbound = sshPorts.length === 0 ? [] : rulesFor('inbound', ssh);
  const outbound = rulesFor('outbound', { kind: 'all' });
  const bindings = policy.bindings.map(({ pattern, invalid }) => ({
    pattern,
    invalid,
    groups: [GROUP],
    inbound,
    outbound,
  }));
  // The next boot may run another kernel, without route lookups.
  const platform = { ...policy.platform, ownAddress: false };
  return {
    ...policy,
    platform,
    bindings,
    accounts: { counters: false, logDenied: false, logRate: policy.accounts.logRate },
  };
}

/** The rules of a host without any policy: on all of its interfaces, those of {@link fallbackPolicy}. */
export function limitedPolicy(
  { flowLabels }: Pick<HostState, 'flowLabels'>,
  sshPorts: readonly PortRange[],
): HostPolicy {
  const everywhere = {
    pattern: '*' as InterfacePattern,
    groups: [],
    invalid: 'drop',
    inbound: [],
    outbound: [],
  } as const;
  return fallbackPolicy(
    {
      instance: '*' as InstanceName,
      unmanagedInterfaces: 'deny',
      platform: PLATFORM_DEFAULTS,
      accounts: { counters: false, logDenied: false, logRate: 1 },
      management: { inbound: [], outbound: [] },
      bindings: [everywhere],
      flowLabels,
      held: [],
      members: new Map(),
      addressGroups: new Map(),
    },
    sshPorts,
  );
}

function rulesFor(direction: Direction, traffic: Traffic): readonly Rule[] {
  const span = { file: CONFIGURATION, line: 1, column: 1, endLine: 1, endColumn: 1 };
  const origin = { group: GROUP, direction, index: 0, template: undefined, span };
  const rest = { priority: 1, priorityWritten: false, log: undefined, description: undefined } as const;
  return FAMILIES.map((family) => ({ origin, action: 'allow', family, traffic, remote: { kind: 'any' }, ...rest }));
}
