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

/** All that the advisor looks for. One check a file; a new one is added here and nowhere else. */
export const LINT_CHECKS: readonly LintCheck[] = [
  worldOpen,
  fullAccess,
  cutsManagement,
  sameMatch,
  shadowedRules,
  redundantRules,
  emptyRemotes,
  unrealRemotes,
  unaskedIcmp,
  ipv4Only,
  implicitPriority,
  unused,
];
