import type { Match, NftRule, NftVerdict } from '#core/model/nft/ruleset.ts';

/** An nft rule that no rule of the policy asks for; `comment` says what it does. */
export function builtIn(matches: readonly Match[], verdict: NftVerdict, comment: string): NftRule {
  return { matches, counted: false, verdict, comment, origin: undefined };
}
