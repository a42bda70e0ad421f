import type { Logger } from 'pino';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { policiesBefore } from '#core/policies-before.ts';
import { policyTexts } from '#host/files/policy-texts.ts';
import type { History } from '#host/state/history.ts';
import type { FlowsToJudge, FollowUpAction } from './action.ts';
import type { Save } from './boot-script.ts';
import type { FlowRevocation } from './flow-revocation.ts';
import { giveWay } from './give-way.ts';
import { identityOf } from './state.ts';

/** What following up works with. */
export interface FollowUpOptions {
  readonly history: History;
  readonly flowRevocation: FlowRevocation;
  readonly log: Logger;
}

/** Does what comes after a change: live flows are judged by it, and the history keeps it. */
export class FollowUp {
  readonly #options: FollowUpOptions;
  #isNoteMissing = false;

  constructor(options: FollowUpOptions) {
    this.#options = options;
  }

  /** Returns the number that the history gives to what was recorded; undefined where that failed, or nothing was to be. */
  async run({ seed, flows, record, recordedVersion }: FollowUpAction, save: Save): Promise<number | undefined> {
    const { history, flowRevocation } = this.#options;
    if (seed !== undefined) await flowRevocation.seed(seed);
    // What flows may live on is read before this version is among it.
    const before = flows === undefined ? [] : await this.#policiesBefore(flows);
    let version: number | undefined;
    const recordNow = async (): Promise<void> => {
      if (record === undefined) return;
      const { files, instance, origin, of } = record;
      version = await history.record(policyTexts(files, instance), { origin, of });
    };
    const recording = record === undefined ? undefined : save(recordNow);
    if (flows !== undefined) {
      const { after, host, isTableNew } = flows;
      const onJudged = async (): Promise<void> => {
        await recording;
        await this.#noteJudged(flows, version ?? recordedVersion);
      };
      const isBeforeKnown = flows.before !== undefined;
      flowRevocation.after({ before, isBeforeKnown, after, interfaces: host.interfaces, isTableNew, onJudged });
    }
    await recording;
    return version;
  }

  /** A process that begins knows of no look: an earlier one may have ended between a change and its look. */
  async #policiesBefore({ before, files, host }: FlowsToJudge): Promise<readonly HostPolicy[]> {
    if (before !== undefined) return [before];
    if (files === undefined) return [];
    try {
      const since = await this.#options.history.sinceJudged();
      return await policiesBefore(since, { identity: identityOf(files), host, pause: giveWay });
    } catch (error) {
      const message = 'the policy that was in force before cannot be read: which flows it let in is not known';
      this.#options.log.warn({ err: error }, message);
      return [];
    }
  }

  async #noteJudged({ files, after }: FlowsToJudge, version: number | undefined): Promise<void> {
    if (files === undefined) return;
    try {
      await this.#options.history.noteJudged(policyTexts(files, after.instance), version);
      this.#isNoteMissing = false;
    } catch (error) {
      const message = 'that live flows were judged cannot be kept: the next start judges them once more';
      if (!this.#isNoteMissing) this.#options.log.warn({ err: error }, message);
      this.#isNoteMissing = true;
    }
  }
}
