import type { AddressGroupName } from '#core/model/policy/names.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { Action, Rule } from '#core/model/policy/rule.ts';
import type { Check } from './check.ts';

/**
 * Requirement: a list file that a rule needs says something.
 * Warns where it is empty, as the target of a pipeline is whose beginning failed.
 */
export const listsSaySomething: Check = (policy, report) => {
  const actions = actionsByAddressGroup(policy);
  for (const { name, entries, listFile } of policy.addressGroups.values()) {
    const isEmpty = [entries.ipv4, entries.ipv6].every(({ hosts, ranges }) => hosts.length + ranges.length === 0);
    if (listFile === undefined || !isEmpty) continue;
    const needed = actions.get(name);
    if (needed === undefined) continue;
    const effects = [
      ...(needed.has('allow') ? ['rules that allow its addresses allow nothing'] : []),
      ...(needed.has('deny') ? ['rules that deny its addresses deny nothing'] : []),
    ];
    report({
      code: 'empty-list',
      span: listFile,
      message: `the list of \`${name}\` is empty: ${effects.join(', and ')}`,
      help: 'fill the list, or remove the rules that name it',
    });
  }
};

/** What rules do with each address group that they name. */
function actionsByAddressGroup({ management, securityGroups }: Policy): ReadonlyMap<AddressGroupName, Set<Action>> {
  const actions = new Map<AddressGroupName, Set<Action>>();
  const ofGroups = [...securityGroups.values()].flatMap(({ inbound, outbound }) => [...inbound, ...outbound]);
  const rules: readonly Rule[] = [...management, ...ofGroups];
  for (const { remote, action } of rules) {
    if (remote.kind !== 'addressGroup') continue;
    const of = actions.get(remote.name) ?? new Set();
    actions.set(remote.name, of.add(action));
  }
  return actions;
}
