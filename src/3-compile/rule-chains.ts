import { formatRuleName, type Rule } from '../model/rule.ts';
import type { NftRule, SimpleVerdict } from '../model/ruleset.ts';
import { type Aspect, remoteMatches, trafficMatches } from './match-terms.ts';
import type { SetRegistry } from './set-registry.ts';

/**
 * Rules in deciding order as nftables rules that decide alike, judging packets of one aspect.
 * Where none matches, the packet goes on behind them. A reply that a rule denies returns to the caller,
 * since the host may still send what its outbound rules let it open by itself.
 */
export function compileRules(rules: readonly Rule[], aspect: Aspect, sets: SetRegistry): NftRule[] {
  return rules.flatMap((rule) => {
    const traffic = trafficMatches(rule.traffic, aspect, sets);
    if (traffic === undefined) return [];
    return remoteMatches(rule.remote, rule.family, { aspect, sets }).map((remote) => ({
      matches: [...traffic, ...remote],
      counted: false,
      verdict: verdictOf(rule, aspect),
      comment: formatRuleName(rule.origin),
      span: rule.origin.span,
    }));
  });
}

/** What a rule's action is to packets of an aspect. */
export function verdictOf({ action }: Pick<Rule, 'action'>, aspect: Aspect): SimpleVerdict {
  if (action === 'allow') return { kind: 'accept' };
  return { kind: aspect === 'replyToInbound' ? 'return' : 'drop' };
}
