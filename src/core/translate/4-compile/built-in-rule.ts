import type { Match, NftRule, NftVerdict } from '#core/model/nft/ruleset.ts';

/** A rule that comes from no rule of the policy; `comment` says what it is for. */
export function builtIn(matches: readonly Match[], verdict: NftVerdict, comment: string): NftRule {
  return { matches, counted: false, verdict, comment, origin: undefined };
}
