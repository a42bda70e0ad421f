import { FAMILIES, type Family } from '#core/model/net/address.ts';
import { nameWithin, objectName } from '#core/model/nft/object-name.ts';
import type { NftChain, NftRule, SimpleVerdict } from '#core/model/nft/ruleset.ts';
import type { Accounts } from '#core/model/policy/policy.ts';
import type { Action, Direction, Rule, RuleOrigin } from '#core/model/policy/rule.ts';
import { builtIn } from './built-in-rule.ts';
import { isLogged, logRules } from './log-rules.ts';

/** Identifies a text; ends in hexadecimal digits. */
export type Digest = (text: string) => string;

/** The verdict of each action, for the packets that rules are compiled for. */
export type Verdicts = Readonly<Record<Action, SimpleVerdict>>;

/** The verdicts of rules. */
export interface RuleVerdicts {
  readonly of: (rule: Rule) => SimpleVerdict;
  /** A value that is equal for rules with the same verdict. */
  readonly says: (rule: Rule) => Action | RuleOrigin;
}

/** The chains that count and log the decisions of one chain set's rules in one direction. */
export interface RuleCounters {
  /** Verdicts that go to the rules' chains; for a rule without a chain, the one of `plain`. */
  readonly verdicts: (plain: Verdicts) => RuleVerdicts;
  /** Denies packets that no rule matches. */
  readonly otherwise: SimpleVerdict;
  /** Denies packets for a deny rule without a chain of its own. */
  readonly deny: SimpleVerdict;
  /** The chains that the verdicts go to. */
  readonly chains: () => readonly NftChain[];
}

/** What the names of counting chains are made of. */
export interface CounterNaming {
  readonly chainSet: string;
  readonly direction: Direction;
  readonly digest: Digest;
}

/** The rules to count and log. */
export interface RuleCounterOptions extends CounterNaming {
  readonly accounts: Accounts;
  /** All rules of the chain set and direction, in deciding order. */
  readonly rules: readonly Rule[];
  readonly allow: SimpleVerdict;
}

/**
 * Makes a chain for each rule that is counted or logged, named after what the rule says: the chain and its count stay
 * whatever else changes. The lookups that lead there are as flat as without.
 */
export function ruleCounters(options: RuleCounterOptions): RuleCounters {
  const { accounts, chainSet, direction, rules, allow } = options;
  const names = new Map<RuleOrigin, Map<Family, string>>();
  for (const { name, rule } of counterChains(rules, options)) {
    const ofOrigin = names.get(rule.origin) ?? new Map<Family, string>();
    names.set(rule.origin, ofOrigin.set(rule.family, name));
  }
  const used = new Map<string, Rule>();
  const counted = isCounted(accounts, rules);
  // Many deny rules share the chain that logs the default; the reader of the log finds out which rule it was. A rule that
  // sets `log` has a chain of its own.
  const sharesDenials = !counted && rules.length > MAX_COUNTED_RULES;
  const hasChain = ({ action, log }: Rule): boolean =>
    counted ||
    (log ?? (action === 'deny' && accounts.logDenied && !sharesDenials)) ||
    (log === false && action === 'deny');
  const otherwise = defaultChain(chainSet, direction);
  const verdictBy = (rule: Rule): SimpleVerdict => {
    const chain = names.get(rule.origin)?.get(rule.family);
    if (chain === undefined) throw new Error('the rule is not among those of its chain set');
    used.set(chain, rule);
    return { kind: 'goto', chain };
  };
  return {
    verdicts: (plain) => ({
      of: (rule) => (hasChain(rule) ? verdictBy(rule) : plain[rule.action]),
      says: (rule) => (hasChain(rule) ? rule.origin : rule.action),
    }),
    otherwise: { kind: 'goto', chain: otherwise },
    deny: sharesDenials && accounts.logDenied ? { kind: 'goto', chain: otherwise } : { kind: 'drop' },
    chains: () => [
      ...[...used].map(([name, rule]): NftChain => {
        const verdict: SimpleVerdict = rule.action === 'allow' ? allow : { kind: 'drop' };
        const decision = [
          ...(isLogged(rule, accounts)
            ? logRules({ action: rule.action, direction, families: [rule.family], prefix: name }, accounts)
            : []),
          // The name is the comment, so that no two chains have the same text and are taken for one.
          { ...builtIn([], verdict, name), counted, origin: rule.origin },
        ];
        return {
          name,
          hook: undefined,
          rules: [...(direction === 'inbound' ? [ofReplies(rule, allow)] : []), ...decision],
        };
      }),
      {
        name: otherwise,
        hook: undefined,
        rules: [
          ...(accounts.logDenied
            ? logRules({ action: 'deny', direction, families: FAMILIES, prefix: otherwise }, accounts)
            : []),
          { ...builtIn([], { kind: 'drop' }, `default ${otherwise}`), counted: true },
        ],
      },
    ],
  };
}

/**
 * With more rules than this, a chain for each makes changes slow: maps that several ports and groups share then differ
 * (measured: an edit among 1,000 rules with groups took 420 ms instead of 170).
 */
const MAX_COUNTED_RULES = 500;

/** Whether the rules of an interface in one direction have hit counters. */
export function isCounted({ counters }: Accounts, rules: readonly Rule[]): boolean {
  return counters === 'few' ? rules.length <= MAX_COUNTED_RULES : counters;
}

/** The chain that denies what no rule of a chain set matches. */
export function defaultChain(chainSet: string, direction: Direction): string {
  return objectName('none', sideOf(direction), chainSet);
}

/** The rules of a chain set in one direction, each with the name of its counting chain, if it has one. */
export function counterChains(
  rules: readonly Rule[],
  naming: CounterNaming,
): readonly { readonly name: string; readonly rule: Rule }[] {
  const taken = new Map<string, number>();
  return rules.map((rule) => {
    const base = hitChain(rule, naming);
    const count = (taken.get(base) ?? 0) + 1;
    taken.set(base, count);
    return { name: count === 1 ? base : nameWithin(base, String(count)), rule };
  });
}

/** A group can be called `management`, so management rules have a kind of chain of their own. */
function hitChain(rule: Rule, { chainSet, direction, digest }: CounterNaming): string {
  const { group } = rule.origin;
  const place = [sideOf(direction), chainSet];
  const content = digest(contentOf(rule)).slice(-DIGEST_DIGITS);
  return group === undefined
    ? objectName('management', ...place, content)
    : objectName('hit', ...place, group, content);
}

/** Rules with the same digest are told apart by their order. */
const DIGEST_DIGITS = 16;

/** What a rule says, apart from its place, its priority and its description. */
function contentOf({ action, family, traffic, remote }: Rule): string {
  return JSON.stringify([action, family, traffic, remote], (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
}

function sideOf(direction: Direction): 'in' | 'out' {
  return direction === 'inbound' ? 'in' : 'out';
}

/**
 * Replies to flows opened from outside are decided by the rule that matches their flow, and not counted. A denied reply
 * returns: the host may still send what its outbound rules let it open by itself.
 */
function ofReplies({ action }: Rule, allow: SimpleVerdict): NftRule {
  const verdict: SimpleVerdict = action === 'allow' ? allow : { kind: 'return' };
  return builtIn([{ kind: 'flowDirection', direction: 'reply' }], verdict, 'state:reply');
}
