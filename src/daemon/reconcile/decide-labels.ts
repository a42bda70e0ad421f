import type { Change } from '#core/model/nft/change.ts';
import { renderLabels, renderNoLabels } from '#core/translate/6-change/render-change.ts';
import type { Failure } from './failure.ts';
import type { ObservationOf } from './observation.ts';
import type { Step } from './step.ts';

/**
 * Has every flow judged anew, once more after a change: a packet that was between two rules when the change came may
 * have labelled its flow for what the old rules said. Where labels are used up, all flows are freed of them first.
 */
export function decideLabels(
  step: Step,
  seen: ObservationOf<'settled'> | ObservationOf<'relabelled'> | ObservationOf<'labels-freed'>,
): void {
  if (seen.kind === 'settled') {
    judgeAnew(step, seen.isTracking);
    return;
  }
  if (seen.failure !== undefined) {
    noteFailure(step, seen.failure);
    return;
  }
  if (seen.kind === 'relabelled') {
    const { next } = seen.action.change;
    step.update({ inForce: next });
    // A flow that is being labelled this moment is not among those that could be freed now.
    if (next.labels === 'none') step.act({ kind: 'settle-later' });
    return;
  }
  const { inForce } = step.state;
  if (seen.isDone && inForce !== undefined) relabel(step, renderLabels(inForce, { cleared: true }));
}

function judgeAnew(step: Step, isTracking: boolean): void {
  const { inForce } = step.state;
  if (inForce?.rendered === undefined) return;
  // No flow, no label that says too much.
  if (!isTracking && inForce.labels !== 'none') return;
  const next = renderLabels(inForce, { cleared: !isTracking });
  if (next !== undefined) relabel(step, next);
  else if (inForce.labels === 'none') step.act({ kind: 'free-labels' });
  else relabel(step, renderNoLabels(inForce));
}

function relabel(step: Step, change: Change | undefined): void {
  if (change !== undefined) step.act({ kind: 'relabel', change });
}

function noteFailure(step: Step, { error, isRefusal }: Failure): void {
  step.log('warn', 'labels of flows: trouble; live flows are judged by each packet meanwhile', { err: error });
  // What was refused has changed nothing: should anything be other than we know, another process did it.
  if (!isRefusal) step.update({ isTableKnown: false });
}
