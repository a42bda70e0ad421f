import type { Policy } from '#core/model/policy/policy.ts';
import type { Remote } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding } from './finding.ts';

/** Requirement: a group is attached to an interface or named from outside itself, and an address group is named. */
export const unused: LintCheck = ({ policy }) => {
  const { groups, addressGroups } = usedNames(policy);
  return [
    ...[...policy.securityGroups.values()]
      .filter(({ name }) => !groups.has(name))
      .map(
        ({ name, span }): LintFinding => ({
          code: 'unused-group',
          span,
          subject: { kind: 'securityGroup', name },
          message: `no interface carries \`${name}\`, and no rule of another group names it`,
          help: 'attach it to an interface by `securityGroups`, or remove it',
          related: [],
          witness: undefined,
        }),
      ),
    ...[...policy.addressGroups.values()]
      .filter(({ name }) => !addressGroups.has(name))
      .map(
        ({ name, span }): LintFinding => ({
          code: 'unused-address-group',
          span,
          subject: { kind: 'addressGroup', name },
          message: `no rule names \`${name}\``,
          help: 'name it in a rule: `{ addressGroup: NAME }`, or remove it',
          related: [],
          witness: undefined,
        }),
      ),
  ];
};

function usedNames({ management, securityGroups, instances, assertions }: Policy) {
  const groups = new Set<string>();
  const addressGroups = new Set<string>();
  const use = (remote: Remote, by: string | undefined): void => {
    if (remote.kind === 'addressGroup') addressGroups.add(remote.name);
    if (remote.kind === 'securityGroup' && remote.name !== by) groups.add(remote.name);
  };
  for (const { interfaces } of instances.values()) {
    for (const name of interfaces.flatMap((binding) => binding.groups)) groups.add(name);
  }
  for (const { remote } of management) use(remote, undefined);
  for (const { name, inbound, outbound } of securityGroups.values()) {
    for (const { remote } of [...inbound, ...outbound]) use(remote, name);
  }
  for (const { traffic, except } of assertions) {
    for (const remote of [...traffic.map((rule) => rule.remote), ...except]) use(remote, undefined);
  }
  return { groups, addressGroups };
}
