import { FAMILIES, type Family } from '#core/model/net/address.ts';
import type { Accounts } from '#core/model/policy/policy.ts';
import { nameWithin, objectName } from '#core/model/nft/object-name.ts';
import type { Action, Direction, Rule, RuleOrigin } from '#core/model/policy/rule.ts';
import type { NftChain, NftRule, SimpleVerdict } from '#core/model/nft/ruleset.ts';
import { isLogged, logRules } from './log-rules.ts';

/** What each action is to the packets that rules are compiled for. */
export type Verdicts = Readonly<Record<Action, SimpleVerdict>>;

/** What becomes of the packets that a rule decides on. */
export interface RuleVerdicts {
  readonly of: (rule: Rule) => SimpleVerdict;
  /** Equal for rules of one verdict. */
  readonly says: (rule: Rule) => Action | RuleOrigin;
}

/** The chains that count and log what the rules of one judge decide on, in one direction. */
export interface RuleCounters {
  /** By way of the chains, and where a rule has none, as `plain` says. */
  readonly verdicts: (plain: Verdicts) => RuleVerdicts;
  /** Denies what no rule is about. */
  readonly otherwise: SimpleVerdict;
  /** Denies what a rule without a chain of its own denies. */
  readonly deny: SimpleVerdict;
  /** The chains that verdicts lead to. */
  readonly chains: () => readonly NftChain[];
}

/** Whose rules are accounted for. */
export interface RuleCounterOptions {
  readonly accounts: Accounts;
  readonly chainSet: string;
  readonly direction: Direction;
  /** All its rules, in deciding order. */
  readonly rules: readonly Rule[];
  readonly allow: SimpleVerdict;
}

/**
 * A chain for each rule that is to be counted or logged, named after what the rule says, so that it stays, and its count
 * with it, whatever else changes. The lookups that lead there are as flat as without.
 */
export function ruleCounters({ accounts, chainSet, direction, rules, allow }: RuleCounterOptions): RuleCounters {
  const names = new Map<RuleOrigin, Map<Family, string>>();
  for (const { name, rule } of counterChains(chainSet, direction, rules)) {
    const ofOrigin = names.get(rule.origin) ?? new Map<Family, string>();
    names.set(rule.origin, ofOrigin.set(rule.family, name));
  }
  const used = new Map<string, Rule>();
  const counted = isCounted(accounts, rules);
  // Many denials share the chain that logs what no rule is about: who reads the log finds out which rule it was. One that
  // says whether it is logged has a chain of its own.
  const sharesDenials = !counted && rules.length > MOST_COUNTED;
  const hasChain = ({ action, log }: Rule): boolean =>
    counted ||
    (log ?? (action === 'deny' && accounts.logDenied && !sharesDenials)) ||
    (log === false && action === 'deny');
  const otherwise = defaultChain(chainSet, direction);
  const verdictBy = (rule: Rule): SimpleVerdict => {
    const chain = names.get(rule.origin)?.get(rule.family);
    if (chain === undefined) throw new Error('the rule is not among those of its judge');
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
        const rest = [
          ...(isLogged(rule, accounts)
            ? logRules({ action: rule.action, direction, families: [rule.family], prefix: name }, accounts)
            : []),
          // Named, so that no chain says what another says and is taken for it.
          { ...always(verdict, name), counted, origin: rule.origin },
        ];
        return {
          name,
          hook: undefined,
          rules: [...(direction === 'inbound' ? [ofReplies(rule, allow)] : []), ...rest],
        };
      }),
      {
        name: otherwise,
        hook: undefined,
        rules: [
          ...(accounts.logDenied
            ? logRules({ action: 'deny', direction, families: FAMILIES, prefix: otherwise }, accounts)
            : []),
          { ...always({ kind: 'drop' }, `default ${otherwise}`), counted: true },
        ],
      },
    ],
  };
}

/**
 * Beyond so many rules a chain for each makes changes dear: maps that several ports and groups share now say different
 * things (measured: an edit in 1,000 rules with groups took 420 ms instead of 170).
 */
const MOST_COUNTED = 500;

/** Whether packets are counted by rule where these are the rules of an interface in one direction. */
export function isCounted({ counters }: Accounts, rules: readonly Rule[]): boolean {
  return counters === 'few' ? rules.length <= MOST_COUNTED : counters;
}

/** The chain that denies what no rule of a judge is about. */
export function defaultChain(chainSet: string, direction: Direction): string {
  return objectName('none', sideOf(direction), chainSet);
}

/** The rules of a judge, and what the chain of each is called where it has one. */
export function counterChains(
  chainSet: string,
  direction: Direction,
  rules: readonly Rule[],
): readonly { readonly name: string; readonly rule: Rule }[] {
  const taken = new Map<string, number>();
  return rules.map((rule) => {
    const base = hitChain(rule, chainSet, direction);
    const count = (taken.get(base) ?? 0) + 1;
    taken.set(base, count);
    return { name: count === 1 ? base : nameWithin(base, String(count)), rule };
  });
}

/** A group can be called `management`, so the kind of chain tells the management rules from a group's. */
function hitChain(rule: Rule, chainSet: string, direction: Direction): string {
  const { group } = rule.origin;
  const place = [sideOf(direction), chainSet];
  return group === undefined
    ? objectName('management', ...place, digestOf(rule))
    : objectName('hit', ...place, group, digestOf(rule));
}

function sideOf(direction: Direction): 'in' | 'out' {
  return direction === 'inbound' ? 'in' : 'out';
}

/**
 * Replies to flows that were opened from outside are judged by the rules that let their flows in; they are not counted.
 * Denied, they go on: the host may still send what its outbound rules let it open by itself.
 */
function ofReplies({ action }: Rule, allow: SimpleVerdict): NftRule {
  const verdict: SimpleVerdict = action === 'allow' ? allow : { kind: 'return' };
  return { ...always(verdict, 'state:reply'), matches: [{ kind: 'flowDirection', direction: 'reply' }] };
}

function always(verdict: NftRule['verdict'], comment: string): NftRule {
  return { matches: [], counted: false, verdict, comment, origin: undefined };
}

/** Identifies what a rule says, apart from its place, its priority and its words for people. */
function digestOf({ action, family, traffic, remote }: Rule): string {
  const text = JSON.stringify([action, family, traffic, remote], (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  // Rules that share one are told apart by their order.
  return hex(hash32(text, 0x811c9dc5)) + hex(hash32(text, 0x9e3779b9));
}

/** FNV-1a, with more of a number's bits mixed in. */
function hash32(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
