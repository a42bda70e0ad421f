import type { Logger } from 'pino';
import { formatDiagnostic } from '#core/diagnostics/format-diagnostic.ts';
import { createPolicyLoader } from '#core/load-policy.ts';
import type { LoadedPolicy } from '#core/loaded-policy.ts';
import type { HeldPolicy, PinnedPolicy, TriedPolicy } from '#core/model/policy/held-policy.ts';
import type { PolicyTexts } from '#core/model/policy/policy-texts.ts';
import { identityOfTexts, readerOfTexts } from '#host/files/policy-texts.ts';
import type { History } from '#host/state/history.ts';
import type { OverrideFile } from '#host/state/override-file.ts';
import { deadlineIn, secondsLeft } from '#host/state/uptime.ts';
import { isOverruledByFiles, objectionToConfirming, objectionToTrial, pinOf } from './decide-override.ts';
import type { ExclusiveLoop, ReconcileLoop } from './loop.ts';
import type { PolicyProver } from './policy-prover.ts';
import { type DaemonState, identityOf, type PolicyOverride, textsInForce } from './state.ts';

/** What was asked for cannot be done, and nothing was changed; the message is for who asked. */
export class OverrideRejected extends Error {
  override readonly name = 'OverrideRejected';
}

/** What overriding the policy files works with. */
export interface OverridesOptions {
  readonly loop: Pick<ReconcileLoop, 'exclusively'>;
  readonly overrideFile: OverrideFile;
  readonly history: History;
  readonly prover: Pick<PolicyProver, 'prove'>;
  readonly log: Logger;
}

/** A policy to try, for a number of seconds. */
export interface Trial {
  readonly texts: PolicyTexts;
  readonly seconds: number;
  /** What is tried, where the texts have another name for it. */
  readonly file?: string | undefined;
}

/** What was confirmed, and what the policy's files said then. */
export interface Confirmed {
  readonly policy: PolicyTexts;
  /** Identifies it. */
  readonly files: string;
}

/** The timer does not count while a machine sleeps, so the deadline is checked at least this often. */
const MAX_SLEEP_SECONDS = 5;

/** Policies in force in place of what the files say: tried ones, and ones that were gone back to. */
export class PolicyOverrides {
  readonly #options: OverridesOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OverridesOptions) {
    this.#options = options;
  }

  /** Goes on with the override of an earlier run of the daemon. */
  async resume(): Promise<void> {
    const { overrideFile, log, loop } = this.#options;
    const policy = await overrideFile.read().catch((error: unknown) => {
      log.error({ err: error }, 'which policy was on trial or pinned is not known: the policy file is in force');
      return undefined;
    });
    if (policy === undefined) return;
    await loop
      .exclusively(async (exclusive) => {
        if (policy.kind === 'tried' && (await secondsLeft(policy.deadline)) > 0) {
          exclusive.setOverride(await load(policy));
          await this.#endLater(policy);
          return;
        }
        if (policy.kind === 'tried') log.warn('the trial was not confirmed: the policy before returns');
        await this.#pin(exclusive, policy.kind === 'tried' ? pinOf(policy) : policy);
      })
      .catch((error: unknown) => {
        log.error({ err: error }, 'the policy that was in force cannot be read: the policy file is in force');
      });
  }

  /** Applies a policy until it is confirmed, or its time is up. Throws OverrideRejected. */
  async tryOut({ texts, seconds, file }: Trial): Promise<void> {
    // INVARIANT: proofs are waited for before the loop is held up, so that it goes on putting things right.
    const proved = await this.#options.prover.prove(await readTexts(texts));
    await this.#options.loop.exclusively(async (exclusive) => {
      const { state } = exclusive;
      const objection = objectionToTrial(state);
      const before = textsInForce(state);
      if (objection !== undefined || before === undefined || state.files === undefined)
        throw new OverrideRejected(objection);
      const deadline = await deadlineIn(seconds);
      if (deadline === undefined)
        throw new OverrideRejected('/proc/sys/kernel/random/boot_id cannot be read, so a reboot could not go back');
      const tried = { kind: 'tried', texts, file, before, files: identityOf(state.files), deadline } as const;
      await this.#replace(exclusive, overrideOf(tried, proved));
      this.#options.log.warn({ seconds }, 'a policy is on trial: the policy before returns unless it is confirmed');
      await this.#endLater(tried);
    });
  }

  /** Has what is tried stay in force. Throws OverrideRejected. */
  confirm(): Promise<Confirmed> {
    const { loop, overrideFile, log } = this.#options;
    return loop.exclusively(async (exclusive) => {
      const { override } = exclusive.state;
      if (override?.policy.kind !== 'tried') throw new OverrideRejected('no policy is on trial');
      const tried = override.policy;
      const objection = objectionToConfirming(exclusive.state, tried);
      if (objection !== undefined) throw new OverrideRejected(objection);
      const { texts, files } = tried;
      const pinned: PinnedPolicy = { kind: 'pinned', texts, files, origin: 'try', of: null };
      await overrideFile.write(pinned);
      clearTimeout(this.#timer);
      exclusive.setOverride({ ...override, policy: pinned });
      log.info('the policy on trial is confirmed');
      await exclusive.apply();
      return { policy: texts, files };
    });
  }

  /** Ends a trial; else, or with a version, applies an earlier policy. Throws OverrideRejected. */
  rollback(number: number | undefined): Promise<void> {
    const { loop, overrideFile, history, log } = this.#options;
    return loop.exclusively(async (exclusive) => {
      const { state } = exclusive;
      if (state.override?.policy.kind === 'tried') {
        if (number !== undefined)
          throw new OverrideRejected('a policy is on trial: sgctl rollback without a version ends that first');
        log.warn('a trial has ended on request: the policy before returns');
        await this.#goBack(exclusive, state.override.policy);
        return;
      }
      if (state.files === undefined)
        throw new OverrideRejected(
          'the policy file has not been valid since the daemon started: nothing tells when it changes',
        );
      const version = number ?? (await versionBefore(state, history));
      if (version === undefined) throw new OverrideRejected('there is no earlier policy to go back to: sgctl history');
      const kept = await history.read(version);
      if (kept === undefined) throw new OverrideRejected(`there is no version ${version}: see sgctl history`);
      const files = identityOf(state.files);
      if (kept.identity === files) {
        exclusive.setOverride(undefined);
        await overrideFile.write(undefined);
        await exclusive.apply();
        return;
      }
      const pinned = { kind: 'pinned', texts: kept.texts, files, origin: 'rollback', of: version } as const;
      await this.#replace(exclusive, await load(pinned));
      log.warn({ version }, 'an earlier policy is in force, until the policy file changes');
    });
  }

  /** Ends a trial, and does nothing where there is none: its time may have been over a moment ago. */
  endTrial(): Promise<void> {
    return this.#endAnyTrial('a trial has ended on request: the policy before returns');
  }

  /** Ends a trial, for the daemon ends: nobody would be there to do it later. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#endAnyTrial('the daemon ends amid a trial: what was in force before comes back now');
  }

  async #endLater(tried: TriedPolicy): Promise<void> {
    clearTimeout(this.#timer);
    const left = await secondsLeft(tried.deadline);
    const isLast = left <= MAX_SLEEP_SECONDS;
    this.#timer = setTimeout(
      () => void (isLast ? this.#endOverdue(tried) : this.#endLater(tried)),
      (isLast ? left : MAX_SLEEP_SECONDS) * 1000,
    );
  }

  async #endOverdue(tried: TriedPolicy): Promise<void> {
    const { loop, log } = this.#options;
    try {
      await loop.exclusively(async (exclusive) => {
        if (exclusive.state.override?.policy !== tried) return;
        log.warn('the trial was not confirmed in time: the policy before returns');
        await this.#goBack(exclusive, tried);
      });
    } catch (error) {
      log.error({ err: error }, 'the policy before the trial cannot be brought back');
    }
  }

  #endAnyTrial(why: string): Promise<void> {
    return this.#options.loop.exclusively(async (exclusive) => {
      const policy = exclusive.state.override?.policy;
      if (policy?.kind !== 'tried') return;
      this.#options.log.warn(why);
      await this.#goBack(exclusive, policy);
    });
  }

  async #goBack(exclusive: ExclusiveLoop, tried: TriedPolicy): Promise<void> {
    clearTimeout(this.#timer);
    await this.#pin(exclusive, pinOf(tried));
    await exclusive.apply();
  }

  /** Pins a policy, or, where the files say the same or something new, has them decide. */
  async #pin(exclusive: ExclusiveLoop, pinned: PinnedPolicy): Promise<void> {
    const override = isOverruledByFiles(exclusive.state, pinned) ? undefined : await load(pinned);
    // Where it cannot be written now, the trial that is written has its time over, and is ended at a restart.
    await this.#options.overrideFile.write(override?.policy).catch((error: unknown) => {
      this.#options.log.error({ err: error }, 'which policy is in force cannot be kept for a restart');
    });
    exclusive.setOverride(override);
  }

  /** Applies a policy in place of what is in force, or throws and leaves that in force. */
  async #replace(exclusive: ExclusiveLoop, override: PolicyOverride): Promise<void> {
    const { overrideFile } = this.#options;
    const before = exclusive.state.override;
    // INVARIANT: how to go back is on disk before anything changes.
    await overrideFile.write(override.policy).catch((error: unknown) => {
      throw new OverrideRejected(
        `nothing changes, for a restart could not go back: ${error instanceof Error ? error.message : String(error)}`,
      );
    });
    exclusive.setOverride(override);
    if (await exclusive.apply()) return;
    const { refusal, kernelProblem } = exclusive.state;
    const why = refusal?.diagnostics[0]?.message ?? kernelProblem?.message ?? 'it could not be brought into force';
    exclusive.setOverride(before);
    await overrideFile.write(before?.policy).catch(() => undefined);
    await exclusive.apply();
    throw new OverrideRejected(`nothing changes: ${why}`);
  }
}

/** What was in force once was proved then: going back waits for no proof. */
async function load(policy: HeldPolicy): Promise<PolicyOverride> {
  return overrideOf(policy, await readTexts(policy.texts));
}

function overrideOf(policy: HeldPolicy, loaded: LoadedPolicy): PolicyOverride {
  if (loaded.policy === undefined) {
    const errors = loaded.diagnostics.filter(({ severity }) => severity === 'error');
    const shown = errors.map((error) => formatDiagnostic(error, (file) => loaded.sources.get(file)));
    throw new OverrideRejected(`the policy has mistakes, and nothing changes\n${shown.join('\n')}`);
  }
  return { policy, loaded, since: new Date() };
}

function readTexts(texts: PolicyTexts): Promise<LoadedPolicy> {
  return createPolicyLoader(readerOfTexts(texts))();
}

/** The version before the one in force; going back from a version that was gone back to goes further. */
async function versionBefore(state: DaemonState, history: History): Promise<number | undefined> {
  const inForce = textsInForce(state);
  if (inForce === undefined) return undefined;
  const versions = await history.list();
  const identity = identityOfTexts(inForce);
  const current = versions.find((version) => version.identity === identity);
  const from = current?.of ?? current?.number ?? Number.POSITIVE_INFINITY;
  return versions.find((version) => version.number < from && version.identity !== identity)?.number;
}
