import type { Policy } from '#core/model/policy/policy.ts';
import { formatRuleName, type Remote, type Rule, type RuleOrigin } from '#core/model/policy/rule.ts';
import type { LintCheck } from './check.ts';

/** Requirement: no two rules of a group match the same packets, with the same action or with opposite ones. */
export const sameMatch: LintCheck = ({ policy }) =>
  sameMatches(policy)
    .filter(({ second }) => second.origin.template === undefined)
    .map(({ first, second }) => {
      const [name, other] = [formatRuleName(second.origin), formatRuleName(first.origin)];
      const isSame = first.action === second.action;
      return {
        code: isSame ? 'duplicate-rule' : 'opposite-actions',
        span: second.origin.span,
        subject: { kind: 'rule', origin: second.origin },
        message: isSame
          ? `\`${name}\` says what \`${other}\` says`
          : `\`${name}\` and \`${other}\` match the same packets with opposite actions, and \`${other}\` decides`,
        help: isSame ? 'remove one of them' : 'remove the one that is not intended',
        related: [{ span: first.origin.span, message: `\`${other}\`: ${first.action}` }],
        witness: undefined,
      };
    });

/** Two rules of one group and direction that match the same packets, in deciding order. */
export interface SameMatch {
  readonly first: Rule;
  readonly second: Rule;
}

/** All pairs of rules with the same traffic and remote; of three, the first pairs with each of the others. */
export function sameMatches({ management, securityGroups }: Policy): readonly SameMatch[] {
  const lists = [management, ...[...securityGroups.values()].flatMap(({ inbound, outbound }) => [inbound, outbound])];
  return lists.flatMap((rules) => {
    const firsts = new Map<string, Rule>();
    return byOrigin(rules)
      .toSorted(([a], [b]) => a.priority - b.priority || order(a) - order(b))
      .flatMap((ofOrigin): SameMatch[] => {
        const [second] = ofOrigin;
        const key = ofOrigin.map(matchText).join(' and ');
        const first = firsts.get(key);
        if (first !== undefined) return [{ first, second }];
        firsts.set(key, second);
        return [];
      });
  });
}

function order({ action }: Rule): number {
  return action === 'deny' ? 0 : 1;
}

function byOrigin(rules: readonly Rule[]): readonly [Rule, ...Rule[]][] {
  const origins = new Map<RuleOrigin, [Rule, ...Rule[]]>();
  for (const rule of rules) {
    const known = origins.get(rule.origin);
    if (known === undefined) origins.set(rule.origin, [rule]);
    else known.push(rule);
  }
  return [...origins.values()];
}

function matchText({ origin, family, traffic, remote }: Rule): string {
  return `${origin.direction} ${family} ${JSON.stringify(traffic)} ${remoteText(remote)}`;
}

function remoteText(remote: Remote): string {
  switch (remote.kind) {
    case 'any':
      return 'any';
    case 'interval':
      return `${remote.interval.from}-${remote.interval.to}`;
    case 'addressGroup':
    case 'securityGroup':
      return `${remote.kind} ${remote.name}`;
  }
}
