import type { NftRule } from '#core/model/nft/ruleset.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import type { RuleVerdicts } from './logging-and-counters.ts';
import { type PacketRole, remoteMatches, trafficMatches } from './match-terms.ts';
import type { SetRegistry } from './set-registry.ts';

/** What rules are compiled for and with. */
export interface CompileContext {
  readonly role: PacketRole;
  readonly verdicts: RuleVerdicts;
  readonly sets: SetRegistry;
}

/**
 * Compiles rules in deciding order, one after another, for packets of one role. A packet that none matches continues
 * behind them.
 */
export function compileRules(rules: readonly Rule[], { role, verdicts, sets }: CompileContext): NftRule[] {
  return rules.flatMap((rule) => {
    const traffic = trafficMatches(rule.traffic, role, sets);
    if (traffic === undefined) return [];
    return remoteMatches(rule.remote, rule.family, { role, sets }).map((remote) => ({
      matches: [...traffic, ...remote],
      counted: false,
      verdict: verdicts.of(rule),
      comment: '',
      origin: rule.origin,
    }));
  });
}
