import type { Family } from '#core/model/net/address.ts';
import { isWholeFamily } from '#core/model/net/interval.ts';
import type { Remote, Rule } from '#core/model/policy/rule.ts';
import type { RemoteClause } from './resolve-addresses.ts';
import type { SetRegistry } from './set-registry.ts';

/**
 * How rules see groups: as sets that packets are looked up in; or as known beforehand, for packets whose address is in
 * just these groups and no other.
 */
export type RemoteView =
  | { readonly kind: 'sets'; readonly sets: SetRegistry }
  | { readonly kind: 'class'; readonly groups: ReadonlySet<string> };

/** What was made of lists of rules, by list and by how a view sees it. */
export type PerView<Made> = Map<readonly Rule[], Map<string, Made>>;

/** What `make` makes of rules that are judged by addresses alone: once for all views that see them alike. */
export function oncePerView<Made>(
  known: PerView<Made>,
  rules: readonly Rule[],
  view: RemoteView,
  make: () => Made,
): Made {
  const ofRules = known.get(rules) ?? new Map<string, Made>();
  known.set(rules, ofRules);
  const key = view.kind === 'sets' ? 'sets' : String(firstForAll(rules, view.groups));
  const before = ofRules.get(key);
  if (before !== undefined) return before;
  const made = make();
  ofRules.set(key, made);
  return made;
}

/** The place of the first rule that holds for every packet of a class: it is all that tells one class from another. */
function firstForAll(rules: readonly Rule[], groups: ReadonlySet<string>): number {
  return rules.findIndex(({ remote }) => {
    const key = groupKey(remote);
    return key !== undefined && groups.has(key);
  });
}

/** The key of a group as a remote, of either kind; undefined for other remotes. */
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

/** What `rules`, in deciding order and of one family, say of remote addresses. Ends at the first that holds for all. */
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

/** The rules as a view sees them: those about groups hold for every packet of a class, or for none. */
export function viewedRules(rules: readonly Rule[], view: RemoteView): readonly Rule[] {
  if (view.kind === 'sets') return rules;
  return rules.flatMap((rule) => {
    const key = groupKey(rule.remote);
    if (key === undefined) return [rule];
    return view.groups.has(key) ? [{ ...rule, remote: { kind: 'any' } as const }] : [];
  });
}
