import type { Family } from '#core/model/net/address.ts';
import { isWholeFamily } from '#core/model/net/interval.ts';
import type { Remote, Rule } from '#core/model/policy/rule.ts';
import type { RemoteClause } from './resolve-addresses.ts';
import type { SetRegistry } from './set-registry.ts';

/**
 * How rules match groups: by a lookup in the group's sets, or, for packets of one address class, by the groups that the
 * class is in, which are known beforehand.
 */
export type RemoteView =
  | { readonly kind: 'sets'; readonly sets: SetRegistry }
  | { readonly kind: 'class'; readonly groups: ReadonlySet<string> };

/** Results by list of rules, and by what a view makes of the list. */
export type PerView<Result> = Map<readonly Rule[], Map<string, Result>>;

/** The result of `make` for rules that match by address alone, made once for all views to which the rules are the same. */
export function oncePerView<Result>(
  results: PerView<Result>,
  rules: readonly Rule[],
  view: RemoteView,
  make: () => Result,
): Result {
  const ofRules = results.get(rules) ?? new Map<string, Result>();
  results.set(rules, ofRules);
  const key = view.kind === 'sets' ? 'sets' : String(firstForAll(rules, view.groups));
  const existing = ofRules.get(key);
  if (existing !== undefined) return existing;
  const result = make();
  ofRules.set(key, result);
  return result;
}

/** The index of the first rule that matches the whole class, which is all that distinguishes classes for these rules. */
function firstForAll(rules: readonly Rule[], groups: ReadonlySet<string>): number {
  return rules.findIndex(({ remote }) => {
    const key = groupKey(remote);
    return key !== undefined && groups.has(key);
  });
}

/** The key of a remote that is a group of either kind; undefined for other remotes. */
export function groupKey(remote: Remote): string | undefined {
  switch (remote.kind) {
    case 'securityGroup':
      return `group.${remote.name}`;
    case 'addressGroup':
      return `list.${remote.name}`;
    default:
      return undefined;
  }
}

/** The clauses of `rules`, which are in deciding order and of one family, up to the first that matches every address. */
export function clausesOf(rules: readonly Rule[], family: Family, view: RemoteView): RemoteClause[] {
  const clauses: RemoteClause[] = [];
  for (const rule of rules) {
    const clause = clauseOf(rule, family, view);
    if (clause === undefined) continue;
    clauses.push(clause);
    if (clause.kind === 'any') break;
  }
  return clauses;
}

function clauseOf(rule: Rule, family: Family, view: RemoteView): RemoteClause | undefined {
  const { remote } = rule;
  switch (remote.kind) {
    case 'any':
      return { kind: 'any', rule };
    case 'interval':
      return isWholeFamily(remote.interval)
        ? { kind: 'any', rule }
        : { kind: 'interval', rule, interval: remote.interval };
    case 'securityGroup':
    case 'addressGroup':
      if (view.kind === 'sets') return { kind: 'sets', rule, sets: view.sets.setsOf(remote, family) };
      return view.groups.has(groupKey(remote) ?? '') ? { kind: 'any', rule } : undefined;
  }
}

/** The rules as a view has them: for a class, a rule about a group matches every packet or none. */
export function viewedRules(rules: readonly Rule[], view: RemoteView): readonly Rule[] {
  if (view.kind === 'sets') return rules;
  return rules.flatMap((rule) => {
    const key = groupKey(rule.remote);
    if (key === undefined) return [rule];
    return view.groups.has(key) ? [{ ...rule, remote: { kind: 'any' } as const }] : [];
  });
}
