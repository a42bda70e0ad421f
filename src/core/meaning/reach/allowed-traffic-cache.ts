import { type AllowedColumns, AllowedTraffic } from '#core/meaning/headerspace/allowed-traffic.ts';
import { addressesOf } from '#core/meaning/headerspace/rule-list.ts';
import type { Family } from '#core/model/net/address.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import type { Direction } from '#core/model/policy/rule.ts';
import { type EvaluatedGroup, isEveryAddress } from './evaluated-group.ts';

/** A group's rules of one direction and family. */
export interface GroupRules {
  readonly group: EvaluatedGroup;
  readonly direction: Direction;
  readonly family: Family;
}

/** The traffic that rules of groups allow, made on demand and once. */
export class AllowedTrafficCache {
  readonly patience: Patience;
  readonly #byGroup = new Map<EvaluatedGroup, Map<string, AllowedTraffic>>();
  readonly #withAnyone = new Map<AllowedTraffic, AllowedColumns>();

  constructor(patience: Patience) {
    this.patience = patience;
  }

  /** The traffic that a group's rules allow, to be asked for a remote end. */
  of({ group, direction, family }: GroupRules): AllowedTraffic {
    const ofGroup = this.#byGroup.get(group) ?? new Map<string, AllowedTraffic>();
    this.#byGroup.set(group, ofGroup);
    const key = `${direction} ${family}`;
    const allowed = ofGroup.get(key) ?? this.#make({ group, direction, family });
    ofGroup.set(key, allowed);
    return allowed;
  }

  #make({ group, direction, family }: GroupRules): AllowedTraffic {
    const rules = group.rules[direction].filter((rule) => rule.family === family);
    return new AllowedTraffic(
      rules.map((rule) => ({ rule, addresses: addressesOf(rule.remote, family, group.policy) })),
      family,
      this.patience,
    );
  }

  /** The traffic allowed with addresses that no rule names. */
  withAnyone(rules: GroupRules): AllowedColumns {
    const allowed = this.of(rules);
    const { family, group } = rules;
    const columns =
      this.#withAnyone.get(allowed) ?? allowed.of(({ remote }) => isEveryAddress(remote, family, group.policy));
    this.#withAnyone.set(allowed, columns);
    return columns;
  }

  /**
   * The traffic allowed with every member of another group; undefined if that is nothing, or if the group has no member
   * of the family. Members whose addresses the policy does not say are matched by their groups alone.
   */
  withGroup(rules: GroupRules, other: EvaluatedGroup): AllowedColumns | undefined {
    const allowed = this.of(rules);
    const { family, group } = rules;
    if (other.addresses === undefined)
      return allowed.of(
        ({ remote }) =>
          isEveryAddress(remote, family, group.policy) ||
          (remote.kind === 'securityGroup' && other.group.groups.includes(remote.name)),
      );
    let common: AllowedColumns | undefined;
    for (const [, columns] of allowed.ofIntervals(other.addresses)) {
      const before: AllowedColumns = common ?? columns;
      common = before.map((isAllowed, column) => isAllowed & (columns[column] ?? 0));
    }
    return common?.includes(1) === true ? common : undefined;
  }
}
