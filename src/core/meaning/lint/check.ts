import type { HostPolicy } from '#core/model/policy/host.ts';
import type { GroupName } from '#core/model/policy/names.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { LintFinding } from './finding.ts';
import type { LintScope } from './lint-scope.ts';
import type { RuleEffect } from './rule-effects.ts';

/** What lint checks examine. */
export interface LintInput {
  readonly policy: Policy;
  /** The policy as resolved for each of its instances. */
  readonly hosts: readonly HostPolicy[];
  readonly scopes: readonly LintScope[];
  readonly effects: readonly RuleEffect[];
  /** Limits the work of a check. */
  readonly patience: Patience;
  /** Groups with members whose addresses the policy does not say. */
  readonly unknown: ReadonlySet<GroupName>;
}

/** A check for one requirement. Throws OutOfPatience. */
export type LintCheck = (linted: LintInput) => readonly LintFinding[];
