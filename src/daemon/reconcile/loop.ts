import { isTracking } from '#kernel/conntrack/conntrack-state.ts';
import type { TableChanges } from '#kernel/nftables/table-changes.ts';
import type { Actor, LoopAction } from './act.ts';
import type { CycleQueue } from './cycle-queue.ts';
import { type Configuration, decide } from './decide.ts';
import { repairDelay } from './drift.ts';
import { toFailure } from './failure.ts';
import type { Observation } from './observation.ts';
import { instant, type Observer } from './observe.ts';
import type { PendingTriggers, ResyncTrigger } from './pending-triggers.ts';
import { type DaemonState, INITIAL_STATE, type PolicyOverride } from './state.ts';
import type { TableMonitor } from './table-monitor.ts';

/** What the loop works with. */
export interface ReconcileLoopOptions extends Configuration {
  readonly observer: Observer;
  readonly actor: Actor;
  readonly table: TableMonitor;
  readonly changes: TableChanges;
  readonly pending: PendingTriggers;
  readonly queue: CycleQueue;
}

/** What of the loop is used by work that runs between two cycles. */
export interface ExclusiveLoop {
  readonly state: DaemonState;
  /** Sets or clears the policy override; it takes effect with the next cycle. */
  setOverride(override: PolicyOverride | undefined): void;
  /** Runs a cycle; what fails is tried again later. Returns whether what is wanted is in force. */
  apply(): Promise<boolean>;
}

/** A caller that waits for what follows from a policy that may be half written has it looked at again at most this often. */
const MAX_LOOKS = 10;
/** A packet can be between two rules while its processor does other work; after this long it is not. */
const SETTLE_MILLISECONDS = 1_000;
/**
 * A table that another process flushes leaves the host open until it is put right. Asking costs 0.3 ms of processor time,
 * measured: 0.8 in 100 of one.
 */
const WATCH_MILLISECONDS = 40;
/** Others may change tables of theirs many times a second; ours is looked at for it at most this often. */
const MIN_BETWEEN_LOOKS_MILLISECONDS = 250;

/** The one loop that changes the kernel: events only mark what is pending, and cycles look, decide and act. */
export class ReconcileLoop {
  readonly #options: ReconcileLoopOptions;
  readonly #pending: PendingTriggers;
  readonly #listeners: ((state: DaemonState) => void)[] = [];
  #state = INITIAL_STATE;
  // INVARIANT: what others are told is what was true at the end of a cycle, never in the middle of one.
  #published = INITIAL_STATE;
  #revision = 0;
  #isReplacementRequested = false;
  /** How often it came to be known whether a policy is to be in force. */
  #decisions = 0;
  #proofAwaited: Promise<void> | undefined;
  #lastGeneration: number | undefined;
  #quietUntil = 0;
  #isClosed = false;
  #settleTimer: NodeJS.Timeout | undefined;
  #stopWatching: (() => void) | undefined;

  constructor(options: ReconcileLoopOptions) {
    this.#options = options;
    this.#pending = options.pending;
    this.#pending.connect(() => void this.#enqueue());
  }

  /** Calls `listener` after every cycle, with the state then. */
  onCycle(listener: (state: DaemonState) => void): void {
    this.#listeners.push(listener);
  }

  /** The state at the end of the last cycle. */
  get state(): DaemonState {
    return this.#published;
  }

  /** Grows with each cycle, and as soon as another process is seen to have changed a table, ours or another. */
  get revision(): number {
    return this.#revision;
  }

  /** Looks at everything now, and resolves when what follows is in force or refused. */
  async resync(): Promise<void> {
    this.#pending.addAll();
    const before = this.#decisions;
    await this.#enqueue();
    for (let look = 1; look < MAX_LOOKS; look += 1) {
      const { proof } = this.#options.observer;
      const { recheckMilliseconds, isSettling } = this.#state.awaited;
      if (proof !== undefined) {
        // The first may be about files as they were before this call, the second is not: newer ones are not waited for.
        if (this.#decisions - before >= 2) return;
        await proof;
      } else {
        if (!isSettling || recheckMilliseconds === undefined) return;
        await new Promise((resolve) => setTimeout(resolve, recheckMilliseconds));
      }
      this.#pending.add(['policy']);
      await this.#enqueue();
    }
  }

  /** Looks at everything now, and replaces all of our table; resolves as `resync` does. */
  reload(): Promise<void> {
    this.#isReplacementRequested = true;
    return this.resync();
  }

  /** Removes our table, and keeps it away until the policy changes. Throws an NftError. */
  clear(): Promise<void> {
    return this.exclusively(async () => {
      await this.#options.actor.clear();
      await this.#proceed({ kind: 'cleared', at: instant() });
    });
  }

  /** Runs `work` between two cycles. Throws what it throws. */
  exclusively<T>(work: (loop: ExclusiveLoop) => Promise<T>): Promise<T> {
    const current = (): DaemonState => this.#state;
    const loop: ExclusiveLoop = {
      get state() {
        return current();
      },
      setOverride: (override) => {
        const { state } = decide(this.#state, { kind: 'override-set', override, at: instant() }, this.#options);
        this.#state = state;
      },
      apply: async () => {
        this.#pending.add(['host']);
        const { override, files } = this.#state;
        return (await this.#cycle()) && this.#state.filesInForce === (override?.loaded ?? files);
      },
    };
    return this.#options.queue.inTurn(async () => {
      try {
        return await work(loop);
      } finally {
        this.#publish();
      }
    });
  }

  /** Asks for a cycle as soon as another process has changed our table. */
  watchKernel(): void {
    this.#stopWatching ??= this.#options.changes.watch(WATCH_MILLISECONDS, (generation) =>
      this.#onGeneration(generation),
    );
  }

  /** Ends the loop; a cycle under way is finished first. What is in force stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pending.close();
    clearTimeout(this.#settleTimer);
    this.#stopWatching?.();
    await this.#options.queue.idle();
  }

  async #enqueue(): Promise<void> {
    this.#pending.stopTimer();
    await this.#options.queue.inTurn(() => this.#cycle());
  }

  /** Looks at what is pending, and does what follows. Returns whether all of it worked. */
  async #cycle(): Promise<boolean> {
    const triggers = this.#pending.take();
    if (triggers.size === 0) return true;
    const isReplacementRequested = this.#isReplacementRequested;
    this.#isReplacementRequested = false;
    const { repairs } = this.#state;
    const { observer } = this.#options;
    const seen = await observer.observe(this.#state, triggers);
    const asked = await this.#proceed({ ...seen, at: instant(), isReplacementRequested });
    if (triggers.has('kernel') && this.#state.repairs === repairs)
      this.#quietUntil = performance.now() + MIN_BETWEEN_LOOKS_MILLISECONDS;
    if (triggers.has('policy') && !this.#state.awaited.isUndecided) this.#decisions += 1;
    this.#awaitProof(observer.proof);
    for (const action of asked) this.#schedule(action, triggers);
    this.#publish();
    return !asked.some(({ kind }) => kind === 'retry');
  }

  /** Decides and acts until nothing is left to do. Returns what is to be done later. */
  async #proceed(first: Observation): Promise<readonly LoopAction[]> {
    const later: LoopAction[] = [];
    let observation: Observation | undefined = first;
    while (observation !== undefined) {
      const { kind }: Observation = observation;
      const { state, actions } = decide(this.#state, observation, this.#options);
      this.#state = state;
      observation = await this.#options.actor
        .act(state, actions, (action) => later.push(action))
        .catch((error: unknown): Observation => {
          if (kind === 'failed') throw error;
          return { kind: 'failed', at: instant(), failure: toFailure(error) };
        });
    }
    return later;
  }

  #schedule(action: LoopAction, triggers: ReadonlySet<ResyncTrigger>): void {
    switch (action.kind) {
      case 'recheck-files':
        this.#pending.mark('policy', action.afterMilliseconds);
        return;
      case 'settle-later':
        this.#settleLater();
        return;
      case 'retry':
        // What was to be looked at still is.
        this.#pending.add(triggers);
        this.#pending.mark('kernel', action.afterMilliseconds);
        // Our table may have been removed amid the cycle, for which there is no waiting.
        if (action.isFirst) void this.#repairNowIfMissing();
    }
  }

  #awaitProof(proof: Promise<void> | undefined): void {
    if (proof === this.#proofAwaited) return;
    this.#proofAwaited = proof;
    void proof?.then(() => this.#pending.mark('policy', 0));
  }

  #settleLater(): void {
    clearTimeout(this.#settleTimer);
    if (this.#isClosed) return;
    this.#settleTimer = setTimeout(() => {
      void this.#options.queue.inTurn(async () => {
        const asked = await this.#proceed({ kind: 'settled', at: instant(), isTracking: await isTracking() });
        if (asked.some(({ kind }) => kind === 'settle-later')) this.#settleLater();
      });
    }, SETTLE_MILLISECONDS);
  }

  #onGeneration(generation: number): void {
    if (generation !== this.#lastGeneration) this.#revision += 1;
    this.#lastGeneration = generation;
    // While we change it ourselves, the change is not another process's.
    if (this.#options.queue.isBusy || !this.#options.table.isStale(generation)) return;
    const now = performance.now();
    const backoff = repairDelay(this.#state.recentRepairs, now);
    const quiet = this.#quietUntil - now;
    if (!this.#pending.has('kernel')) this.#pending.mark('kernel', Math.max(backoff, quiet, 0));
    // Without our table the host is open, which asks for haste; and to ask whether it is there costs little.
    if (quiet > 0 && backoff === 0) void this.#repairNowIfMissing();
  }

  async #repairNowIfMissing(): Promise<void> {
    const isThere = await this.#options.changes.isThere().catch(() => true);
    if (!isThere && this.#state.inForce !== undefined) this.#pending.mark('kernel', 0);
  }

  #publish(): void {
    this.#published = this.#state;
    this.#revision += 1;
    for (const listener of this.#listeners) listener(this.#published);
  }
}
