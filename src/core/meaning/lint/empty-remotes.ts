import { formatRuleName, type Rule } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding } from './finding.ts';

/** Requirement: a rule's remote has addresses. A group without members matches nothing. */
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
            ? 'add addresses to it, or remove the rule'
            : 'attach the group to interfaces with `addresses` of that family, or remove the rule',
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
      return 'its remote has no addresses';
  }
}
