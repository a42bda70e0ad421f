import type { HostPolicy } from '#core/model/policy/host.ts';
import type { GroupName } from '#core/model/policy/names.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import type { Policy } from '#core/model/policy/policy.ts';
import type { LintFinding } from './finding.ts';
import type { LintScope } from './lint-scope.ts';
import type { RuleEffect } from './rule-effects.ts';

/** What the advisor looks at. */
export interface LintInput {
  readonly policy: Policy;
  /** The policy as each of its instances sees it. */
  readonly hosts: readonly HostPolicy[];
  readonly scopes: readonly LintScope[];
  readonly effects: readonly RuleEffect[];
  /** How long a check may take. */
  readonly patience: Patience;
  /** Groups with members whose addresses no policy tells. */
  readonly unknown: ReadonlySet<GroupName>;
}

/** One thing that the advisor looks for. Throws OutOfPatience. */
export type LintCheck = (linted: LintInput) => readonly LintFinding[];
