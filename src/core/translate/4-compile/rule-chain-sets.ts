import type { Binding, HostPolicy, OrderedRules } from '#core/model/policy/host.ts';
import type { InterfacePattern } from '#core/model/policy/names.ts';
import type { InvalidPackets } from '#core/model/policy/policy.ts';

/** The rules for one or more interfaces with the same groups, which share one set of chains. */
export interface RuleChainSet extends OrderedRules {
  /** The part of the chains' names that tells this set from others. */
  readonly key: string;
  /** The interfaces; empty for those that the policy does not name. */
  readonly patterns: readonly string[];
  readonly invalid: InvalidPackets;
}

/** Denies what passes by interfaces that the policy does not name. */
const UNMANAGED: RuleChainSet = { key: 'unmanaged', patterns: [], invalid: 'drop', inbound: [], outbound: [] };

/** Whether a chain set is for the interfaces that the policy does not name. */
export function isUnmanaged(chainSet: RuleChainSet): boolean {
  return chainSet === UNMANAGED;
}

/** The chain sets of a policy; last, if they are denied, the one for interfaces that the policy does not name. */
export function chainSetsOf(policy: HostPolicy): readonly RuleChainSet[] {
  const names = chainNames(policy.bindings);
  const chainSets = new Map<string, RuleChainSet & { readonly patterns: string[] }>();
  for (const binding of policy.bindings) {
    const key = names.get(binding);
    if (key === undefined) continue;
    const chainSet = chainSets.get(key) ?? { ...binding, key, patterns: [] };
    chainSets.set(key, chainSet);
    chainSet.patterns.push(binding.pattern);
  }
  const unmanaged: readonly RuleChainSet[] = policy.unmanagedInterfaces === 'deny' ? [UNMANAGED] : [];
  return [...chainSets.values(), ...unmanaged];
}

/** The key of each binding's chain set; bindings with the same groups share one. */
export function chainNames(bindings: readonly Binding[]): ReadonlyMap<Binding, string> {
  const byMeaning = new Map<string, string>();
  const taken = new Set<string>([UNMANAGED.key]);
  // The interfaces that the policy names come first: their chains keep their names and counts when others come to share them.
  const inOrder = [...bindings].sort((a, b) => Number(a.by !== undefined) - Number(b.by !== undefined));
  return new Map(
    inOrder.map((binding) => {
      const meaning = `${binding.invalid} ${binding.groups.join(' ')}`;
      const name = byMeaning.get(meaning) ?? freeName(binding.pattern, taken);
      byMeaning.set(meaning, name);
      taken.add(name);
      return [binding, name];
    }),
  );
}

/** A free name after the interface that nft can read back: its identifiers have letters, digits, `_`, `.` and `-`. */
function freeName(pattern: InterfacePattern, taken: ReadonlySet<string>): string {
  const base = (pattern === '*' ? 'any' : pattern.replace(/\*$/, '-any')).replace(/[^A-Za-z0-9_.-]/g, '_');
  let name = base;
  for (let n = 2; taken.has(name); n += 1) name = `${base}.${n}`;
  return name;
}
