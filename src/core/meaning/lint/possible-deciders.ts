import type { GroupName } from '#core/model/policy/names.ts';

/** A rule that matches packets: certainly, or if their remote end is a member of `group`, whose members are unknown. */
export interface PresentRule {
  readonly id: number;
  readonly isCertain: boolean;
  readonly group: GroupName | undefined;
}

/** A rule that can decide, and the rules of which one would decide in its place; undefined is no rule. */
export interface PossibleDecider {
  readonly id: number;
  readonly instead: readonly (number | undefined)[];
}

/** The rules of which one decides packets, whatever the groups' members are; `present` are in deciding order. */
export function decidersAmong(present: readonly PresentRule[]): readonly PossibleDecider[] {
  const found: PossibleDecider[] = [];
  const groups = new Set<GroupName>();
  for (const [place, { id, isCertain, group }] of present.entries()) {
    // An earlier rule has decided for the members of this group.
    if (!isCertain && group !== undefined && groups.has(group)) continue;
    found.push({ id, instead: insteadOf(present, place, groups) });
    if (isCertain) break;
    if (group !== undefined) groups.add(group);
  }
  return found;
}

/** The rules of which one would decide in place of `decider`; earlier rules decide for the members of `groups`. */
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
