import type { AddressEntries } from '#core/model/net/address-entries.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import { type AddressClasses, classifyAddresses } from './address-classes.ts';
import { groupKey } from './remote-view.ts';
import type { RuleTree } from './rule-tree.ts';
import type { GroupRemote } from './set-registry.ts';

/** Up to so many lookups of sets, a packet pays less for them than for finding out its address's class (two lookups). */
const MOST_SETS = 4;

/** Beyond these, classes would take more memory and loading time than they are worth. */
const MOST_CLASSES = 256;
const MOST_CLASSIFIED = 300_000;
const MOST_REPEATED_RULES = 1_000_000;

/**
 * The classes by which packets are told apart before anything else, where rules ask about so many groups on one port that
 * looking into each one's set would be dear; undefined where sets are the cheaper (unless `always`), or classes too many.
 */
export function classesFor(
  tree: RuleTree,
  entriesOf: (remote: GroupRemote) => AddressEntries,
  { always }: { readonly always: boolean },
): AddressClasses | undefined {
  const leaves = leavesOf(tree);
  if (!always && Math.max(0, ...leaves.map(setLookups)) <= MOST_SETS) return undefined;
  const groups = new Map<string, AddressEntries>();
  for (const { remote } of leaves.flat()) {
    if (remote.kind !== 'securityGroup' && remote.kind !== 'addressGroup') continue;
    const key = groupKey(remote) ?? '';
    if (!groups.has(key)) groups.set(key, entriesOf(remote));
  }
  const size = [...groups.values()].reduce((sum, { hosts, ranges }) => sum + hosts.length + 2 * ranges.length, 0);
  if (size > MOST_CLASSIFIED) return undefined;
  const found = classifyAddresses(groups);
  if (found.classes.length > MOST_CLASSES) return undefined;
  return repeatedRules(leaves, found) > MOST_REPEATED_RULES ? undefined : found;
}

/** The lists of rules that packets end at, each judged by addresses. */
function leavesOf({ protocols, others }: RuleTree): readonly (readonly Rule[])[] {
  return [
    others,
    ...protocols.flatMap((of) =>
      of.kind === 'ports' ? [of.ahead, of.withoutPorts, ...of.segments.map(({ rules }) => rules)] : [of.rules],
    ),
  ];
}

/** How many sets a packet is looked up in at the most, where none of them holds its address. */
function setLookups(rules: readonly Rule[]): number {
  const asked = new Set<string>();
  let lookups = 0;
  for (const { remote } of rules) {
    if (remote.kind === 'any') break;
    const key = groupKey(remote);
    if (key === undefined || asked.has(key)) continue;
    asked.add(key);
    // Hosts and ranges of an address group are two sets.
    lookups += remote.kind === 'addressGroup' ? 2 : 1;
  }
  return lookups;
}

/** How many rules the classes look at together: in each list those before the first that holds for all of the class. */
function repeatedRules(leaves: readonly (readonly Rule[])[], { classes }: AddressClasses): number {
  let count = 0;
  for (const rules of leaves) {
    const first = new Map<string, number>();
    rules.forEach(({ remote }, index) => {
      const key = groupKey(remote) ?? (remote.kind === 'any' ? '' : undefined);
      if (key !== undefined && !first.has(key)) first.set(key, index);
    });
    const end = first.get('') ?? rules.length;
    for (const { groups } of classes) {
      count += groups.reduce((least, key) => Math.min(least, first.get(key) ?? end), end);
    }
  }
  return count;
}
