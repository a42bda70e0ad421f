import { apply } from './apply.ts';
import { check } from './check.ts';
import { clear } from './clear.ts';
import type { Command } from './command.ts';
import { compile } from './compile.ts';
import { completionOf } from './completion.ts';
import { confirm } from './confirm.ts';
import { explain } from './explain.ts';
import { graph } from './graph.ts';
import { history } from './history.ts';
import { init } from './init.ts';
import { lint } from './lint.ts';
import { log } from './log.ts';
import { plan } from './plan.ts';
import { rollback } from './rollback.ts';
import { stats } from './stats.ts';
import { status } from './status.ts';
import { tryOut } from './try.ts';
import { verify } from './verify.ts';

/** Every command of `sgctl`, in the order in which the help lists them. */
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
