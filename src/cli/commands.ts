import { apply } from '#cli/commands/apply.ts';
import { check } from '#cli/commands/check.ts';
import { clear } from '#cli/commands/clear.ts';
import { compile } from '#cli/commands/compile.ts';
import { completionOf } from '#cli/commands/completion.ts';
import { confirm } from '#cli/commands/confirm.ts';
import { explain } from '#cli/commands/explain.ts';
import { graph } from '#cli/commands/graph.ts';
import { history } from '#cli/commands/history.ts';
import { init } from '#cli/commands/init.ts';
import { lint } from '#cli/commands/lint.ts';
import { log } from '#cli/commands/log.ts';
import { plan } from '#cli/commands/plan.ts';
import { rollback } from '#cli/commands/rollback.ts';
import { stats } from '#cli/commands/stats.ts';
import { status } from '#cli/commands/status.ts';
import { tryOut } from '#cli/commands/try.ts';
import { verify } from '#cli/commands/verify.ts';
import type { Command } from '#cli/framework/command.ts';

/** Every command of `sgctl`, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  init,
  check,
  lint,
  compile,
  plan,
  tryOut,
  confirm,
  rollback,
  history,
  apply,
  explain,
  graph,
  status,
  verify,
  stats,
  log,
  clear,
  completionOf(() => COMMANDS),
];
