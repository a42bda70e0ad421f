import type { Family } from '#core/model/net/address.ts';
import type {
  AddressMap,
  Match,
  NftChain,
  NftRule,
  NftSet,
  NftVerdict,
  SimpleVerdict,
} from '#core/model/nft/ruleset.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import { builtIn } from './built-in-rule.ts';
import type { PerView, RemoteView } from './remote-view.ts';
import type { Resolution } from './resolve-addresses.ts';
import type { CompileContext } from './rule-chains.ts';

/** What trees of rules are compiled with. */
export interface SegmentContext extends CompileContext {
  /** The resolutions of lists of rules, each worked out once: both directions of a flow have the same. */
  readonly resolutions: PerView<Resolution>;
}

/** What the chains and maps of one family's tree are compiled with, and where they are collected. */
export interface TreeContext extends SegmentContext {
  readonly family: Family;
  readonly view: RemoteView;
  readonly chains: NftChain[];
  readonly maps: NftSet[];
  /** The nft rules made for lists of rules that match by address, and their targets: most address classes share them. */
  readonly made: PerView<readonly NftRule[]>;
  readonly targets: Map<readonly NftRule[], SimpleVerdict>;
}

/** The verdict that applies `rules`: `goto` a chain of that name, or the verdict itself where that is all that the chain would hold. */
export function target(rules: readonly NftRule[], name: string, context: TreeContext): SimpleVerdict {
  const [first] = rules;
  if (first === undefined) return { kind: 'return' };
  if (isFinal([first]) && isSimple(first.verdict) && !first.counted) return first.verdict;
  const existing = context.targets.get(rules);
  if (existing !== undefined) return existing;
  const verdict = goto(addChain(context, name, rules));
  context.targets.set(rules, verdict);
  return verdict;
}

/** The verdict that continues in a chain. */
export function goto(chain: string): SimpleVerdict {
  return { kind: 'goto', chain };
}

/** Whether no packet passes beyond these rules. */
export function isFinal(rules: readonly NftRule[]): boolean {
  const last = rules.at(-1);
  return last !== undefined && last.matches.length === 0 && isSimple(last.verdict);
}

function isSimple(verdict: NftVerdict): verdict is SimpleVerdict {
  return ['accept', 'drop', 'return', 'goto'].includes(verdict.kind);
}

/** An nft rule with the verdict of a rule of the policy. */
export function decided(rule: Rule, matches: readonly Match[], { verdicts }: TreeContext): NftRule {
  return { ...builtIn(matches, verdicts.of(rule), ''), origin: rule.origin };
}

/** An nft rule that looks an address up in a map. */
export function lookup({ name, family }: AddressMap, end: 'source' | 'destination', comment: string): NftRule {
  return builtIn([], { kind: 'addressMap', end, family, map: name }, comment);
}

/** Adds a chain and returns its name. */
export function addChain({ chains }: TreeContext, name: string, rules: readonly NftRule[]): string {
  chains.push({ name, hook: undefined, rules });
  return name;
}
