import type { AddressEntries } from '#core/model/net/address-entries.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import { type AddressClasses, classifyAddresses } from './address-classes.ts';
import { groupKey } from './remote-view.ts';
import type { RuleTree } from './rule-tree.ts';
import type { GroupRemote } from './set-registry.ts';

/** Up to this many set lookups cost a packet less than finding its address's class, which is two lookups. */
const MAX_SET_LOOKUPS = 4;

/** Beyond these limits, classes take more memory and loading time than they are worth. */
const MAX_CLASSES = 256;
const MAX_CLASSIFIED_ENTRIES = 300_000;
const MAX_REPEATED_RULES = 1_000_000;

/**
 * The address classes that packets are sorted into first, where rules ask about so many groups on one port that a lookup
 * in each group's set costs more; undefined if sets are cheaper (unless `always`) or there are too many classes.
 */
export function classesFor(
  tree: RuleTree,
  entriesOf: (remote: GroupRemote) => AddressEntries,
  { always }: { readonly always: boolean },
): AddressClasses | undefined {
  const leaves = leavesOf(tree);
  if (!always && Math.max(0, ...leaves.map(setLookups)) <= MAX_SET_LOOKUPS) return undefined;
  const groups = new Map<string, AddressEntries>();
  for (const { remote } of leaves.flat()) {
    if (remote.kind !== 'securityGroup' && remote.kind !== 'addressGroup') continue;
    const key = groupKey(remote) ?? '';
    if (!groups.has(key)) groups.set(key, entriesOf(remote));
  }
  const size = [...groups.values()].reduce((sum, { hosts, ranges }) => sum + hosts.length + 2 * ranges.length, 0);
  if (size > MAX_CLASSIFIED_ENTRIES) return undefined;
  const classes = classifyAddresses(groups);
  if (classes.classes.length > MAX_CLASSES) return undefined;
  return repeatedRules(leaves, classes) > MAX_REPEATED_RULES ? undefined : classes;
}

/** The lists of rules at the leaves of the tree, which match by address. */
function leavesOf({ protocols, others }: RuleTree): readonly (readonly Rule[])[] {
  return [
    others,
    ...protocols.flatMap((protocol) =>
      protocol.kind === 'ports'
        ? [protocol.ahead, protocol.withoutPorts, ...protocol.segments.map(({ rules }) => rules)]
        : [protocol.rules],
    ),
  ];
}

/** The most sets that a packet is looked up in, which is when none of them has its address. */
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

/** How many rules the classes repeat in total: in each list the rules before the first that matches the whole class. */
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
