import type { Rule } from '#core/model/policy/rule.ts';
import type { NftRule } from '#core/model/nft/ruleset.ts';
import { type PacketRole, remoteMatches, trafficMatches } from './match-terms.ts';
import type { RuleVerdicts } from './logging-and-counters.ts';
import type { SetRegistry } from './set-registry.ts';

/** What rules are compiled with. */
export interface CompileContext {
  readonly role: PacketRole;
  readonly verdicts: RuleVerdicts;
  readonly sets: SetRegistry;
}

/**
 * Rules in deciding order as nftables rules that decide alike, judging packets of one aspect.
 * Where none matches, the packet goes on behind them.
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
