import type { GroupName } from '#core/model/policy/names.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { Check } from './check.ts';

/**
 * Requirement: a group as remote means its members' addresses, and a host knows only its own dynamic ones.
 * Warns where another instance's rules would need the addresses of an interface that does not list them.
 */
export const membersKnownElsewhere: Check = (policy, report) => {
  const seekers = instancesByRemoteGroup(policy);
  for (const instance of policy.instances.values()) {
    if (instance.name === '*') continue;
    for (const { pattern, addresses, groups, span } of instance.interfaces) {
      if (addresses !== 'dynamic') continue;
      const group = groups.find((one) => [...(seekers.get(one) ?? [])].some((seeker) => seeker !== instance.name));
      if (group === undefined) continue;
      report({
        code: 'unknown-member-addresses',
        span,
        message: `other instances have rules that name the group \`${group}\`, and cannot know the addresses of \`${pattern}\` of \`${instance.name}\``,
        help: 'list its `addresses`, so that every host knows it as a member',
      });
    }
  }
};

/** For each group that rules name as remote, the instances on which such rules are in force. */
function instancesByRemoteGroup(policy: Policy): ReadonlyMap<GroupName, ReadonlySet<string>> {
  const seekers = new Map<GroupName, Set<string>>();
  for (const instance of policy.instances.values()) {
    for (const name of new Set(instance.interfaces.flatMap(({ groups }) => groups))) {
      const group = policy.securityGroups.get(name);
      for (const { remote } of [...(group?.inbound ?? []), ...(group?.outbound ?? [])]) {
        if (remote.kind !== 'securityGroup') continue;
        const of = seekers.get(remote.name) ?? new Set();
        seekers.set(remote.name, of.add(instance.name));
      }
    }
  }
  return seekers;
}
