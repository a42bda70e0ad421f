import type { Diagnostic } from '#core/diagnostics/diagnostic.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import { identityOfTexts } from '#host/files/policy-texts.ts';
import type { WaitingFile } from '#host/files/settling.ts';
import type { ObservedPolicy } from './observation.ts';
import { identityOf, isOfApplying, WHY_WAITING } from './state.ts';
import type { Step } from './step.ts';

/** Of a policy's new warnings, the log shows at most this many; status lists all of them. */
const MAX_LOGGED_WARNINGS = 10;

/** Takes what the policy files say into the state: a policy with mistakes changes nothing that is in force. */
export function acceptPolicy(step: Step, seen: ObservedPolicy): void {
  const { kind, loaded } = seen;
  const isUndecided = kind === 'wait' || kind === 'proving';
  noteWaiting(step, seen.waiting);
  step.update({
    fileNames: seen.files,
    filesSettleAt: seen.settleAt,
    awaited: { recheckMilliseconds: seen.recheckMilliseconds, isSettling: seen.isSettling, isUndecided },
  });
  if (seen.isProofNew) step.log('info', 'what the policy asserts is being proved; what is in force stays meanwhile');
  if (isUndecided) return;
  step.update({ isUntrusted: loaded.isUntrusted });
  if (kind === 'invalid') {
    refuse(step, loaded.diagnostics, loaded.sources);
    return;
  }
  const { refusal, warnings } = step.state;
  const isOfFiles = refusal !== undefined && !isOfApplying(refusal);
  if (isOfFiles) step.log('info', 'the policy file is valid again');
  logNewWarnings(step, loaded.diagnostics, warnings);
  step.update({
    policy: loaded.policy,
    files: loaded,
    warnings: loaded.diagnostics,
    refusal: isOfFiles ? undefined : refusal,
    isCleared: false,
  });
  unpinIfChanged(step, loaded);
}

/** Notes that the newest files are not in force, and logs why, once. */
export function refuse(
  step: Step,
  diagnostics: readonly Diagnostic[],
  sources: ReadonlyMap<string, string> = new Map(),
): void {
  const before = step.state.refusal;
  if (before !== undefined && JSON.stringify(before.diagnostics) === JSON.stringify(diagnostics)) return;
  step.update({ refusal: { since: step.at.date, diagnostics, sources } });
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return;
  const { file, line, column } = first.span;
  step.log('error', `policy refused, nothing in force changes: ${file}:${line}:${column}: ${first.message}`, {
    file,
    line,
    column,
    code: first.code,
    help: first.help,
    errors: errors.length,
  });
}

/** Has the policy files decide again. */
export function unpin(step: Step, why: string): void {
  step.update({ override: undefined });
  step.act({ kind: 'write-override', policy: undefined });
  step.log('info', why);
}

/** Whether a needed file is being written: the policy waits with it. */
export function isWaitedFor(waiting: readonly WaitingFile[]): boolean {
  return waiting.some(({ isNeeded }) => isNeeded);
}

function noteWaiting(step: Step, waiting: readonly WaitingFile[]): void {
  const before = step.state.waiting;
  for (const { file, reason } of waiting) {
    const isNew = before.every((earlier) => earlier.file !== file || earlier.reason !== reason);
    if (isNew) step.log('info', `waiting for ${file}: ${WHY_WAITING[reason]}`, { file, reason });
  }
  step.update({ waiting });
}

function logNewWarnings(step: Step, now: readonly Diagnostic[], before: readonly Diagnostic[]): void {
  const logged = new Set(before.map((warning) => JSON.stringify(warning)));
  const unlogged = now.filter((warning) => !logged.has(JSON.stringify(warning)));
  for (const { span, code, message, help } of unlogged.slice(0, MAX_LOGGED_WARNINGS)) {
    const { file, line, column } = span;
    step.log('warn', `policy: ${file}:${line}:${column}: ${message}`, { file, line, column, code, help });
  }
  const more = unlogged.length - MAX_LOGGED_WARNINGS;
  if (more > 0) step.log('warn', `policy: ${more} more warnings: sgctl status lists them`);
}

/** A pinned policy gives way to files that say something new, and to files that say the same. */
function unpinIfChanged(step: Step, loaded: LoadedPolicy): void {
  const pinned = step.state.override?.policy;
  if (pinned?.kind !== 'pinned') return;
  const identity = identityOf(loaded);
  const isSame = identity === identityOfTexts(pinned.texts);
  if (identity === pinned.files && !isSame) return;
  unpin(
    step,
    isSame ? 'the policy file says what is in force again' : 'the policy file changed, and is in force again',
  );
}
