import { formatRuleName, type Rule } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding } from './finding.ts';

/** Requirement: the other end of a rule is somebody. A group without members matches nothing. */
export const emptyRemotes: LintCheck = ({ effects }) =>
  effects.flatMap(({ origin, occurrences }): readonly LintFinding[] => {
    const isEmpty = occurrences.every(({ lintRule: { possible } }) => possible !== 'any' && possible.length === 0);
    const rule = occurrences[0]?.lintRule.rule;
    if (!isEmpty || rule === undefined || origin.template !== undefined) return [];
    return [
      {
        code: 'empty-remote',
        span: origin.span,
        subject: { kind: 'rule', origin },
        message: `\`${formatRuleName(origin)}\` matches nothing: ${emptinessOf(rule)}`,
        help:
          rule.remote.kind === 'addressGroup'
            ? 'add addresses to it, or take the rule out'
            : 'attach the group to interfaces with `addresses` of that family, or take the rule out',
        related: [],
        witness: undefined,
      },
    ];
  });

function emptinessOf({ remote }: Rule): string {
  switch (remote.kind) {
    case 'securityGroup':
      return `the group \`${remote.name}\` has no members with addresses of its family`;
    case 'addressGroup':
      return `the address group \`${remote.name}\` has no addresses of its family`;
    case 'any':
    case 'interval':
      return 'nobody is at its other end';
  }
}
