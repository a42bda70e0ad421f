import type { Address } from '#core/model/net/address.ts';
import { addressEntries, type EntriesByFamily } from '#core/model/net/address-entries.ts';
import { type Interval, intervalOf } from '#core/model/net/interval.ts';
import type { Binding, HostPolicy, HostState } from '#core/model/policy/host.ts';
import type { GroupName, InstanceName } from '#core/model/policy/names.ts';
import type { Instance, Policy } from '#core/model/policy/policy.ts';
import type { Direction, Rule } from '#core/model/policy/rule.ts';
import { bindingOf, type KernelNamed, withKernelNames } from '#core/read/2-analyze/kernel-names.ts';

/** The policy as the host that is `instance` sees it. Throws where the policy has no such instance. */
export function resolveHost(policy: Policy, host: HostState, instance: InstanceName): HostPolicy {
  const self = policy.instances.get(instance);
  if (self === undefined) throw new Error(`the policy has no instance ${instance}`);
  const interfaces = withKernelNames(self.interfaces, host);
  return {
    instance,
    unmanagedInterfaces: policy.unmanagedInterfaces,
    platform: policy.platform,
    accounts: policy.accounts,
    management: {
      inbound: inDecidingOrder([policy.management.filter((rule) => rule.origin.direction === 'inbound')], 'merged'),
      outbound: inDecidingOrder([policy.management.filter((rule) => rule.origin.direction === 'outbound')], 'merged'),
    },
    bindings: interfaces.map((binding) => bind(policy, self, binding)).toSorted(bySpecificity),
    flowLabels: host.flowLabels,
    routeLookups: host.routeLookups,
    held: host.interfaces,
    members: membersOfGroups(policy, host, { self, interfaces }),
    addressGroups: new Map([...policy.addressGroups].map(([name, { entries }]) => [name, entries])),
  };
}

function bind(policy: Policy, { evaluation }: Instance, { pattern, by, groups, invalid }: KernelNamed): Binding {
  const rules = (direction: Direction): readonly Rule[] =>
    inDecidingOrder(
      groups.map((name) => policy.securityGroups.get(name)?.[direction] ?? []),
      evaluation,
    );
  return { pattern, by, groups, invalid, inbound: rules('inbound'), outbound: rules('outbound') };
}

/**
 * The rules of several groups, in the groups' order, as one list in which the first match decides:
 * by (group, priority, deny before allow, position in the file); `merged` leaves the group out.
 */
function inDecidingOrder(groups: readonly (readonly Rule[])[], evaluation: 'sequence' | 'merged'): readonly Rule[] {
  const lists = evaluation === 'sequence' ? groups : [groups.flat()];
  // toSorted is stable, so what the comparison leaves equal stays in the order of the groups and of the file.
  return lists.flatMap((rules) => rules.toSorted((a, b) => a.priority - b.priority || actionOrder(a) - actionOrder(b)));
}

function actionOrder({ action }: Rule): number {
  return action === 'deny' ? 0 : 1;
}

function bySpecificity(a: Binding, b: Binding): number {
  const glob = (pattern: string): boolean => pattern.endsWith('*');
  if (glob(a.pattern) !== glob(b.pattern)) return glob(a.pattern) ? 1 : -1;
  if (glob(a.pattern) && a.pattern.length !== b.pattern.length) return b.pattern.length - a.pattern.length;
  return a.pattern < b.pattern ? -1 : a.pattern > b.pattern ? 1 : 0;
}

interface Self {
  readonly self: Instance;
  readonly interfaces: readonly KernelNamed[];
}

function membersOfGroups(
  policy: Policy,
  host: HostState,
  { self, interfaces }: Self,
): ReadonlyMap<GroupName, EntriesByFamily> {
  const members = new Map<GroupName, Interval[]>([...policy.securityGroups.keys()].map((name) => [name, []]));
  for (const instance of policy.instances.values()) {
    for (const binding of instance === self ? interfaces : instance.interfaces) {
      const addresses =
        binding.addresses !== 'dynamic'
          ? binding.addresses
          : instance === self
            ? heldAddresses(host, interfaces, binding)
            : [];
      for (const group of binding.groups) {
        const of = members.get(group);
        for (const address of addresses) of?.push(intervalOf(address));
      }
    }
  }
  return new Map([...members].map(([name, addresses]) => [name, addressEntries(addresses)]));
}

/** The addresses of this host's interfaces that `binding`, and no more specific one, stands for. */
function heldAddresses(host: HostState, bindings: readonly KernelNamed[], binding: KernelNamed): readonly Address[] {
  return host.interfaces
    .filter(({ name }) => bindingOf(bindings, name) === binding)
    .flatMap(({ addresses }) => addresses);
}
