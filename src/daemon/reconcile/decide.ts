import type { BootConf } from '#core/model/policy/boot-conf.ts';
import { planLimited } from '#core/plan-change.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import { acceptPolicy, isWaitedFor, refuse, unpin } from './accept-policy.ts';
import { applyPolicy, finishApplying } from './apply-policy.ts';
import { asForeign, checkTable, isForeign } from './check-table.ts';
import { decideLabels } from './decide-labels.ts';
import { type Failure, toFailure } from './failure.ts';
import type { Observation, ObservationOf, ObservedTable } from './observation.ts';
import { type DaemonState, FIRST_RETRY_MILLISECONDS, isOfApplying, NOTHING_AWAITED } from './state.ts';
import { type Decision, Step } from './step.ts';

/** What never changes while the daemon runs. */
export interface Configuration {
  /** The instance that this host is said to be; undefined to find out. */
  readonly instance: string | undefined;
  /** What becomes of a host that has no rules to load. */
  readonly bootConf: BootConf;
}

const MAX_RETRY_MILLISECONDS = 60_000;

/**
 * Decides what follows from an observation: the whole of what the daemon does about the host's packets, and when.
 *
 * INVARIANT: pure. It reads no file, no clock and no kernel, and logs nothing: time comes with the observation, and what
 * is to be done goes out as data. A cycle begins with a `seen` observation; an action that can fail comes last, and its
 * outcome is the next observation of the cycle. An empty list of actions ends it.
 */
export function decide(state: DaemonState, observation: Observation, configuration: Configuration): Decision {
  const step = new Step(state, observation.at);
  step.noteSaves(observation.saves ?? []);
  const cycle = new Cycle(step, configuration);
  try {
    cycle.take(observation);
  } catch (error) {
    // A policy that cannot be compiled is a failure like another: what was accepted so far stays accepted.
    cycle.fail(toFailure(error));
  }
  return step.decision;
}

/** The stages of a cycle. Each either asks for an action whose outcome it has to know, or goes on to the next one. */
class Cycle {
  readonly #step: Step;
  readonly #configuration: Configuration;

  constructor(step: Step, configuration: Configuration) {
    this.#step = step;
    this.#configuration = configuration;
  }

  get #state(): DaemonState {
    return this.#step.state;
  }

  take(seen: Observation): void {
    switch (seen.kind) {
      case 'seen':
        return this.#begin(seen);
      case 'restored':
        return seen.action.purpose === 'repair' ? this.#afterRepair(seen) : this.#afterLoading(seen);
      case 'accepted':
        if (seen.failure !== undefined) return this.fail(seen.failure);
        if (seen.policy !== undefined) acceptPolicy(this.#step, seen.policy);
        return this.#limitIfUntrusted();
      case 'limited':
        return this.#afterLimiting(seen);
      case 'applied':
        return this.#afterApplying(seen);
      case 'followed-up':
        return this.#afterFollowUp(seen);
      case 'failed':
        return this.fail(seen.failure);
      case 'saved':
        return undefined;
      case 'override-set':
        this.#step.update({
          override: seen.override,
          isCleared: seen.override === undefined && this.#state.isCleared,
        });
        return undefined;
      case 'cleared':
        return this.#clear();
      case 'settled':
      case 'relabelled':
      case 'labels-freed':
        return decideLabels(this.#step, seen);
    }
  }

  #begin({ isReplacementRequested, policy, host, table, isTracking, failure }: ObservationOf<'seen'>): void {
    const step = this.#step;
    step.update({
      awaited: NOTHING_AWAITED,
      isReplacementRequested: this.#state.isReplacementRequested || isReplacementRequested,
    });
    if (policy !== undefined) acceptPolicy(step, policy);
    if (this.#isReplacementDue() && this.#state.override?.policy.kind === 'pinned')
      unpin(step, 'a reload was asked for: the policy file is in force again');
    if (host !== undefined) step.update({ host });
    if (isTracking !== undefined) step.update({ isTracking });
    const isRestoreDue = table !== undefined && checkTable(step, table);
    if (failure !== undefined) return this.fail(failure);
    // Without our table the host stands open: what is on disk closes it sooner than a new change does.
    if (isRestoreDue) return step.act({ kind: 'restore-last-good', purpose: 'repair' });
    return this.#loadLastGood();
  }

  /** A policy with mistakes changes nothing, not even for a table that means the same. */
  #isReplacementDue(): boolean {
    const { isReplacementRequested, awaited, refusal } = this.#state;
    return isReplacementRequested && !awaited.isUndecided && refusal === undefined;
  }

  #afterRepair({ failure, table, isTracking }: ObservationOf<'restored'>): void {
    if (failure !== undefined)
      this.#step.log('warn', 'the last good script could not be put back; a new one is made', { err: failure.error });
    else if (isTracking !== undefined) this.#step.update({ isTracking });
    const found = failure === undefined ? table?.found : undefined;
    this.#step.update({ inForce: found === undefined ? undefined : asForeign(found) });
    return this.#loadLastGood();
  }

  /** A host that starts with a policy full of mistakes must not stand open for it. */
  #loadLastGood(): void {
    // What another process made of our table is no better than nothing.
    const isLost = this.#state.inForce === undefined || isForeign(this.#state.inForce);
    const isDue = this.#isNothingWanted() && isLost && !this.#state.isCleared && !this.#state.isLastGoodMissing;
    if (isDue) return this.#step.act({ kind: 'restore-last-good', purpose: 'start' });
    return this.#acceptUnfinishedFiles();
  }

  #isNothingWanted(): boolean {
    return this.#state.policy === undefined && this.#state.override === undefined;
  }

  #afterLoading({ isLoaded, table, isTracking, failure }: ObservationOf<'restored'>): void {
    if (failure !== undefined && !isLoaded) return this.fail(failure);
    const isWaiting = isWaitedFor(this.#state.waiting);
    this.#step.update({ isLastGoodMissing: !isLoaded });
    if (!isLoaded) {
      if (!isWaiting) this.#step.log('error', 'there is no valid policy and no last good one');
      return this.#acceptUnfinishedFiles();
    }
    const why = isWaiting ? 'the policy is being written' : 'there is no valid policy';
    this.#step.log('warn', `${why}: the rules that were last in force are loaded`);
    if (!this.#checkLoaded({ table, isTracking, failure })) return undefined;
    return this.#acceptUnfinishedFiles();
  }

  /** With nothing in force that could stay so meanwhile, a host is better off with what the files say now. */
  #acceptUnfinishedFiles(): void {
    const isDue = this.#isNothingWanted() && this.#state.isLastGoodMissing && isWaitedFor(this.#state.waiting);
    if (!isDue) return this.#limitIfUntrusted();
    this.#step.log('warn', 'the policy is being written, and there is no last good one: it is taken as it is');
    return this.#step.act({ kind: 'accept-files' });
  }

  /**
   * Who can exchange a policy file must not choose between it and no rules at all. A mistake in the first policy changes
   * nothing, as any other.
   */
  #limitIfUntrusted(): void {
    const { isUntrusted, isLastGoodMissing, inForce, isCleared, host } = this.#state;
    const { bootConf } = this.#configuration;
    const isDue = isUntrusted && isLastGoodMissing && inForce === undefined && !isCleared;
    if (!isDue || host === undefined || bootConf.isOpen) return this.#apply();
    return this.#step.act({ kind: 'load-limited', script: planLimited(host, bootConf.sshPorts, hashContent) });
  }

  #afterLimiting({ table, isTracking, failure }: ObservationOf<'limited'>): void {
    if (table === undefined && failure !== undefined) return this.fail(failure);
    this.#step.log(
      'warn',
      'users other than root can change the policy: until it can be trusted, ssh is allowed in and everything out',
    );
    if (this.#checkLoaded({ table, isTracking, failure })) this.#apply();
  }

  /** Whether rules that were loaded are there; fails the cycle where they are not. */
  #checkLoaded({
    table,
    isTracking,
    failure,
  }: {
    readonly table: ObservedTable | undefined;
    readonly isTracking: boolean | undefined;
    readonly failure: Failure | undefined;
  }): boolean {
    if (isTracking !== undefined) this.#step.update({ isTracking });
    if (table !== undefined) checkTable(this.#step, table);
    if (failure !== undefined) this.fail(failure);
    else if (this.#state.inForce === undefined)
      this.fail(toFailure(new Error('rules were loaded, and are gone again')));
    else return true;
    return false;
  }

  #apply(): void {
    const isReplacement = this.#isReplacementDue();
    const isAsked = applyPolicy(this.#step, { isReplacement, instance: this.#configuration.instance });
    if (!isAsked) this.#finish();
  }

  #afterApplying(seen: ObservationOf<'applied'>): void {
    if (seen.failure !== undefined) return this.fail(seen.failure);
    this.#step.update({ isBootScriptStale: !seen.isBootScriptCurrent });
    if (!finishApplying(this.#step, seen.action)) this.#finish();
  }

  #afterFollowUp({ action, version }: ObservationOf<'followed-up'>): void {
    const { record, announcement } = action;
    if (record !== undefined && version !== undefined)
      this.#step.update({ recorded: { files: record.files, version }, version });
    if (announcement !== undefined)
      this.#step.act({ ...announcement, fields: { version: this.#state.version, ...announcement.fields } });
    this.#finish();
  }

  #clear(): void {
    this.#step.update({
      inForce: undefined,
      hostPolicy: undefined,
      filesInForce: undefined,
      override: undefined,
      isCleared: true,
      version: undefined,
    });
    this.#step.act({ kind: 'write-override', policy: undefined });
    this.#step.log(
      'warn',
      'firewall off on request; the rules return when the policy changes, on SIGHUP or at a restart',
    );
  }

  #finish(): void {
    const { awaited, isReplacementRequested } = this.#state;
    this.#step.update({
      retryMilliseconds: FIRST_RETRY_MILLISECONDS,
      // What was asked of the policy is done when it is known what that says.
      isReplacementRequested: isReplacementRequested && awaited.isUndecided,
    });
    this.#recheck();
  }

  /** What the kernel refuses, or what does not work, is reported once and tried again, less and less often. */
  fail(failure: Failure): void {
    const step = this.#step;
    const { span } = failure;
    const message = `the kernel was not changed: ${failure.message}`;
    step.log('error', message, { err: failure.error, file: span?.file, line: span?.line });
    const { refusal, kernelProblem, retryMilliseconds } = this.#state;
    // A mistake in newer files is the newer news.
    if (span !== undefined && (refusal === undefined || isOfApplying(refusal))) {
      const refused = `the kernel refused this: ${failure.message}`;
      refuse(step, [
        { code: 'kernel-refused', severity: 'error', message: refused, span, related: [], help: undefined },
      ]);
    }
    step.update({
      kernelProblem: { since: kernelProblem?.since ?? step.at.date, message },
      // Whatever nft left behind, the next cycle begins from what is really there.
      isTableKnown: false,
      retryMilliseconds: Math.min(2 * retryMilliseconds, MAX_RETRY_MILLISECONDS),
    });
    this.#recheck();
    const isFirst = retryMilliseconds === FIRST_RETRY_MILLISECONDS;
    step.act({ kind: 'retry', afterMilliseconds: retryMilliseconds, isFirst });
  }

  #recheck(): void {
    const { recheckMilliseconds } = this.#state.awaited;
    if (recheckMilliseconds !== undefined)
      this.#step.act({ kind: 'recheck-files', afterMilliseconds: recheckMilliseconds });
  }
}
