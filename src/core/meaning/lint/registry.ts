import type { LintCheck } from './check.ts';
import { cutsManagement } from './cuts-management.ts';
import { emptyRemotes } from './empty-remotes.ts';
import { fullAccess } from './full-access.ts';
import { implicitPriority } from './implicit-priority.ts';
import { ipv4Only } from './ipv4-only.ts';
import { redundantRules } from './redundant-rules.ts';
import { sameMatch } from './same-match.ts';
import { shadowedRules } from './shadowed-rules.ts';
import { unaskedIcmp } from './unasked-icmp.ts';
import { unrealRemotes } from './unreal-remotes.ts';
import { unused } from './unused.ts';
import { worldOpen } from './world-open.ts';

/** A check, and what it looks for in words. */
export interface LintCheckEntry {
  readonly about: string;
  readonly check: LintCheck;
}

/** All checks. One check a file; a new one is added here and nowhere else. */
export const LINT_CHECKS: readonly LintCheckEntry[] = [
  { about: 'what everyone may reach', check: worldOpen },
  { about: 'groups that let everything in', check: fullAccess },
  { about: 'denials that keep everyone from logging in', check: cutsManagement },
  { about: 'rules that match the same packets', check: sameMatch },
  { about: 'rules that never decide', check: shadowedRules },
  { about: 'rules that change nothing', check: redundantRules },
  { about: 'rules whose remote is empty', check: emptyRemotes },
  { about: 'rules that no packet can match', check: unrealRemotes },
  { about: 'rules for ICMP that passes or is invalid anyway', check: unaskedIcmp },
  { about: 'rules for IPv4 alone', check: ipv4Only },
  { about: 'priorities that are not written', check: implicitPriority },
  { about: 'unused groups', check: unused },
];
