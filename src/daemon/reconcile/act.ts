import type { Logger } from 'pino';
import { CHAIN_SET_LABELS } from '#core/model/nft/label-chains.ts';
import type { BootConf } from '#core/model/policy/boot-conf.ts';
import { planFallback } from '#core/plan-change.ts';
import { TABLE } from '#core/translate/5-render/names.ts';
import type { Settling } from '#host/files/settling.ts';
import type { LastGood } from '#host/state/last-good.ts';
import type { OverrideFile } from '#host/state/override-file.ts';
import type { FlowLabels } from '#kernel/conntrack/flow-labels.ts';
import { hashContent } from '#kernel/nftables/content-hash.ts';
import type { Nft } from '#kernel/nftables/nft.ts';
import { clearScript } from '#kernel/nftables/table.ts';
import type { TableWriterLog } from '#kernel/nftables/table-writers.ts';
import type { Action, ApplyAction, RestoreAction } from './action.ts';
import { loadBootScript, persistAround, type Save } from './boot-script.ts';
import { expectedTable } from './check-table.ts';
import { type Failure, toFailure } from './failure.ts';
import type { FlowRevocation } from './flow-revocation.ts';
import type { FollowUp } from './follow-up.ts';
import type { Observation, ObservedPolicy, ObservedTable, SaveOutcome } from './observation.ts';
import { instant, isTrackingWithout, type Observer } from './observe.ts';
import type { DaemonState } from './state.ts';
import type { TableMonitor } from './table-monitor.ts';

/** What acting works with. */
export interface ActorOptions {
  readonly observer: Observer;
  readonly table: TableMonitor;
  readonly nft: Nft;
  readonly flowLabels: FlowLabels;
  readonly writers: TableWriterLog;
  readonly settling: Pick<Settling, 'accept'>;
  /** Where the script that boots into what is in force is kept. */
  readonly lastGood: LastGood;
  readonly overrideFile: OverrideFile;
  readonly flowRevocation: FlowRevocation;
  readonly followUp: FollowUp;
  readonly bootConf: BootConf;
  readonly log: Logger;
}

/** What only the loop can do: it has the timers. */
export type LoopAction = Extract<Action, { readonly kind: 'recheck-files' | 'retry' | 'settle-later' }>;

/** The actions that change something or read it again; the rest is the loop's. */
type OwnAction = Exclude<Action, LoopAction>;

type Outcome = DistributiveOmit<Observation, 'at' | 'saves'>;
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

interface Context {
  readonly state: DaemonState;
  readonly save: Save;
}

const ALL_LABELS = Array.from({ length: CHAIN_SET_LABELS }, (_, label) => label);

/** Executes actions, and reports what became of them. It decides nothing. */
export class Actor {
  readonly #options: ActorOptions;

  constructor(options: ActorOptions) {
    this.#options = options;
  }

  /**
   * Executes actions in order. Returns what became of them, undefined where none has an outcome. What fails is part of
   * the outcome.
   */
  async act(
    state: DaemonState,
    actions: readonly Action[],
    onLoopAction: (action: LoopAction) => void,
  ): Promise<Observation | undefined> {
    const saves: SaveOutcome[] = [];
    const context = { state, save: saveTo(saves) };
    let outcome: Outcome | undefined;
    for (const action of actions)
      if (action.kind === 'recheck-files' || action.kind === 'retry' || action.kind === 'settle-later')
        onLoopAction(action);
      else outcome = (await this.#execute(action, context)) ?? outcome;
    if (outcome === undefined && saves.length === 0) return undefined;
    return { ...(outcome ?? { kind: 'saved' }), at: instant(), saves };
  }

  /** Removes our table. Throws an NftError. */
  async clear(): Promise<void> {
    await this.#options.nft.run(clearScript(TABLE));
    this.#options.flowRevocation.forget();
  }

  async #execute(action: OwnAction, { state, save }: Context): Promise<Outcome | undefined> {
    const { log, overrideFile, writers, followUp, flowLabels, table } = this.#options;
    switch (action.kind) {
      case 'log':
        log[action.level](action.fields, action.message);
        return undefined;
      case 'write-override':
        await save(() => overrideFile.write(action.policy));
        return undefined;
      case 'record-writers':
        if (action.isOn) writers.listen();
        else writers.stop();
        return undefined;
      case 'restore-last-good':
        return this.#restore(action, state);
      case 'load-limited': {
        const loaded = await attempt(() => this.#options.nft.run(action.script));
        if (loaded.failure !== undefined) return { kind: 'limited', table: undefined, failure: loaded.failure };
        return { kind: 'limited', ...(await this.#lookAgain(state)) };
      }
      case 'accept-files': {
        this.#options.settling.accept();
        const seen = await attempt<ObservedPolicy>(() => this.#options.observer.policy());
        return { kind: 'accepted', policy: seen.value, failure: seen.failure };
      }
      case 'apply':
        return this.#apply(action, save);
      case 'follow-up':
        return { kind: 'followed-up', action, version: await followUp.run(action, save) };
      case 'relabel': {
        const { failure } = await attempt(() => table.apply(action.change));
        return { kind: 'relabelled', action, failure };
      }
      case 'free-labels': {
        const { value: isDone = false, failure } = await attempt(() => flowLabels.free(ALL_LABELS));
        return { kind: 'labels-freed', isDone, failure };
      }
    }
  }

  async #restore(action: RestoreAction, state: DaemonState): Promise<Outcome> {
    const { lastGood, nft, log } = this.#options;
    const { value: isLoaded = false, failure } = await attempt(() =>
      loadBootScript({ lastGood, nft }, (error) =>
        log.warn({ err: error }, 'the members last in force could not be loaded: those before them are'),
      ),
    );
    if (!isLoaded) return { kind: 'restored', action, isLoaded, table: undefined, failure };
    return { kind: 'restored', action, isLoaded, ...(await this.#lookAgain(state, action.purpose)) };
  }

  async #lookAgain(
    state: DaemonState,
    purpose: RestoreAction['purpose'] = 'start',
  ): Promise<{
    readonly table: ObservedTable | undefined;
    readonly isTracking?: boolean | undefined;
    readonly failure: Failure | undefined;
  }> {
    const expected = purpose === 'repair' ? undefined : expectedTable(state);
    const seen = await attempt(async () => {
      const table = await this.#options.observer.table(expected);
      return { table, isTracking: await isTrackingWithout(table.found) };
    });
    return { table: seen.value?.table, isTracking: seen.value?.isTracking, failure: seen.failure };
  }

  async #apply(action: ApplyAction, save: Save): Promise<Outcome> {
    const { table, lastGood, flowRevocation, bootConf } = this.#options;
    const { rendered, hostPolicy, persist, canAppend, isFirst, interfaces } = action;
    const { change } = rendered;
    // INVARIANT: conntrack knows who opened what is live before rules judge it, or it takes who speaks first for the opener.
    const aheadOfLast = isFirst ? () => flowRevocation.seed(interfaces) : undefined;
    if (persist === 'nothing') {
      const { failure } = await attempt(() => table.apply(change, { aheadOfLast }));
      return { kind: 'applied', action, isBootScriptCurrent: false, failure };
    }
    const fallback = () => planFallback(hostPolicy, bootConf.sshPorts, hashContent);
    const script = persistAround(rendered, { lastGood, save, canAppend, fallback });
    const isWrittenAhead = change.kind === 'elements' || change.kind === 'none';
    const applied = await attempt(async () => {
      if (isWrittenAhead) await script.before();
      await table.apply(change, { beforeLast: isWrittenAhead ? undefined : () => script.before(), aheadOfLast });
      return script.after();
    });
    return { kind: 'applied', action, isBootScriptCurrent: applied.value ?? false, failure: applied.failure };
  }
}

/** Steps that keep something on disk; trouble with one is reported, and keeps nothing out of force. */
function saveTo(saves: SaveOutcome[]): Save {
  return async (step) => {
    const { value, failure } = await attempt(step);
    saves.push(failure);
    return failure === undefined && value !== false;
  };
}

async function attempt<T>(
  step: () => Promise<T>,
): Promise<{ readonly value?: T | undefined; readonly failure: Failure | undefined }> {
  try {
    return { value: await step(), failure: undefined };
  } catch (error) {
    return { failure: toFailure(error) };
  }
}
