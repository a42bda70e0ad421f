import type { LintCheck } from './check.ts';
import type { LintFinding } from './finding.ts';

/** Requirement: no interface carries a group of the template Sys-FullAccess, which allows everything in and out. */
export const fullAccess: LintCheck = ({ policy }) => {
  const attached = new Set(
    [...policy.instances.values()].flatMap(({ interfaces }) => interfaces.flatMap(({ groups }) => groups)),
  );
  return [...policy.securityGroups.values()].flatMap(({ name, inbound }): readonly LintFinding[] => {
    const rule = inbound.find(({ origin }) => origin.template === 'Sys-FullAccess');
    if (rule === undefined || !attached.has(name)) return [];
    return [
      {
        code: 'full-access',
        span: rule.origin.span,
        subject: { kind: 'securityGroup', name },
        message: `\`${name}\` allows everything in and out, and interfaces carry it`,
        help: 'start with the template `default`, and add rules for what must be reachable',
        related: [],
        witness: undefined,
      },
    ];
  });
};
