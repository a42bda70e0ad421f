import { hostnameOf } from '#core/model/policy/find-instance.ts';
import type { Instance } from '#core/model/policy/policy.ts';
import type { Check } from './check.ts';

/** Requirement: a host finds itself in the policy once. Two instances that claim one host name or machine id are an error. */
export const oneInstanceAHost: Check = (policy, report) => {
  const claims = new Map<string, Instance>();
  const claim = (key: string, what: string, instance: Instance): void => {
    const first = claims.get(key);
    if (first === undefined) {
      claims.set(key, instance);
      return;
    }
    report({
      code: 'host-claimed-twice',
      span: instance.span,
      message: `\`${instance.name}\` and \`${first.name}\` are both the host with the ${what}`,
      help: 'a host is one instance: change the `hostname` or `machineId` of one of them',
      related: [{ span: first.span, message: 'the other instance' }],
    });
  };
  for (const instance of policy.instances.values()) {
    if (instance.machineId !== undefined)
      claim(`id ${instance.machineId}`, `machine id \`${instance.machineId}\``, instance);
    const hostname = hostnameOf(instance);
    if (hostname !== undefined && instance.name !== '*') claim(`name ${hostname}`, `name \`${hostname}\``, instance);
  }
};
