import { formatRuleName } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';
import type { LintFinding } from './finding.ts';
import { witnessAt } from './lint-scope.ts';

/** Requirement: a priority that makes a rule decide before one with the opposite action is written. */
export const implicitPriority: LintCheck = ({ effects }) =>
  effects.flatMap(({ origin, rival }): readonly LintFinding[] => {
    if (origin.template !== undefined || rival === undefined) return [];
    const { rule: other, example } = rival;
    const { scope, atom, interval } = example;
    const [name, otherName] = [formatRuleName(origin), formatRuleName(other.origin)];
    return [
      {
        code: 'implicit-priority',
        span: origin.span,
        subject: { kind: 'rule', origin },
        message: `\`${name}\` has no priority, and decides before \`${otherName}\` because 1 is the default`,
        help: 'write `priority: 1` if that is intended',
        related: [
          { span: other.origin.span, message: `\`${otherName}\`: ${other.action}, priority ${other.priority}` },
        ],
        witness: witnessAt(scope, atom, interval),
      },
    ];
  });
