import type { GroupName } from '#core/model/policy/names.ts';

/** A rule that is about packets: certainly, or if their other end is a member of a group whose members nobody knows. */
export interface PresentRule {
  readonly id: number;
  readonly isCertain: boolean;
  readonly group: GroupName | undefined;
}

/** A rule that can decide, and those one of which would in its place; undefined is no rule. */
export interface PossibleDecider {
  readonly id: number;
  readonly instead: readonly (number | undefined)[];
}

/** The rules one of which decides on packets, whoever is a member of what; `present` are in deciding order. */
export function decidersAmong(present: readonly PresentRule[]): readonly PossibleDecider[] {
  const found: PossibleDecider[] = [];
  const groups = new Set<GroupName>();
  for (const [place, { id, isCertain, group }] of present.entries()) {
    // On members of this group a rule before has decided.
    if (!isCertain && group !== undefined && groups.has(group)) continue;
    found.push({ id, instead: insteadOf(present, place, groups) });
    if (isCertain) break;
    if (group !== undefined) groups.add(group);
  }
  return found;
}

/** Those one of which would decide in place of one that can, where members of `groups` are decided on. */
function insteadOf(
  present: readonly PresentRule[],
  decider: number,
  groups: ReadonlySet<GroupName>,
): readonly (number | undefined)[] {
  const own = present[decider]?.group;
  const found: number[] = [];
  for (const { id, isCertain: isAbout, group } of present.slice(decider + 1)) {
    const isCertain = isAbout || (group !== undefined && group === own);
    if (!isCertain && group !== undefined && groups.has(group)) continue;
    found.push(id);
    if (isCertain) return found;
  }
  return [...found, undefined];
}
