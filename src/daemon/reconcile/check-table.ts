import type { InForce } from '#core/model/nft/in-force.ts';
import { countRecent, MAX_PROMPT_REPAIRS, withRepair } from './drift.ts';
import type { ObservedTable } from './observation.ts';
import { type DaemonState, isTrying } from './state.ts';
import type { Step } from './step.ts';

/** Treats the table's contents as unknown, so that the next change replaces everything. */
export function asForeign(inForce: InForce): InForce {
  return { ...inForce, contentHash: 'unknown', rendered: undefined, labels: 'unknown' };
}

/** Whether only the names of the table's objects are known, and not what they mean. */
export function isForeign({ contentHash }: InForce): boolean {
  return contentHash === 'unknown';
}

/** What the kernel should hold of our table; undefined where anything that it holds is no drift. */
export function expectedTable({ isTableKnown, appliedAt, inForce, isCleared }: DaemonState): InForce | undefined {
  // After a failure the table's contents are unknown, and what is found then is nobody's drift.
  const isKnown = isTableKnown && appliedAt !== undefined && inForce !== undefined && !isForeign(inForce);
  return isKnown && !isCleared ? inForce : undefined;
}

/**
 * Takes what the kernel holds into the state. Drift is repaired by the change that follows. Returns whether the host
 * stands open by it, so that the last good script is to be loaded from disk before that.
 */
export function checkTable(step: Step, { found, is, isExpected, writers }: ObservedTable): boolean {
  endInterferenceThatIsOver(step);
  step.update({ isTableKnown: true });
  if (is === 'same') return false;
  // What was not left there by us may have been made again since.
  step.update({ isTableNew: true });
  if (!isExpected) {
    step.update({ inForce: found });
    return false;
  }
  if (is === 'uncertain' && found !== undefined) {
    step.log('debug', 'somebody changed a table while we changed ours: it is made anew, to be sure of it');
    step.update({ inForce: asForeign(found) });
    return false;
  }
  noteRepair(step, writers);
  const byWhom = writers.length === 0 ? '' : `: ${writers.join(', ')}`;
  step.log('warn', `somebody changed our table${byWhom}; putting it right`, {
    found: found?.contentHash ?? 'no table',
    by: writers,
  });
  // The content hash is what we left there, and not what others made of the rest.
  step.update({ inForce: found === undefined ? undefined : asForeign(found), repairs: step.state.repairs + 1 });
  return found === undefined && !isTrying(step.state) && !step.state.isBootScriptStale;
}

function endInterferenceThatIsOver(step: Step): void {
  const { interference, recentRepairs } = step.state;
  if (interference === undefined || countRecent(recentRepairs, step.at.milliseconds) > 0) return;
  step.update({ interference: undefined });
  step.act({ kind: 'record-writers', isOn: false });
}

function noteRepair(step: Step, writers: readonly string[]): void {
  const recentRepairs = withRepair(step.state.recentRepairs, step.at.milliseconds);
  step.update({ recentRepairs });
  const times = countRecent(recentRepairs, step.at.milliseconds);
  if (times <= MAX_PROMPT_REPAIRS) return;
  step.act({ kind: 'record-writers', isOn: true });
  const byWhom = writers.length === 0 ? '' : `: ${writers.join(', ')}`;
  const message = `another program changes our table again and again${byWhom}: it was put right ${times} times within a minute, and now is so less and less often`;
  const before = step.state.interference;
  if (before === undefined) step.log('error', message, { times });
  step.update({ interference: { since: before?.since ?? step.at.date, message } });
}
