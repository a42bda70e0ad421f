import type { Enforcement } from './enforcement.ts';
import type { HoldingLoop } from './holding.ts';
import { createRounds, type Dirt, type RoundOptions } from './round.ts';

/** What the reconciler works with. */
export interface ReconcilerOptions extends RoundOptions {
  /** Called after every round, with what is known then. */
  readonly onRound: (enforcement: Enforcement) => void;
}

/** The one loop that changes the kernel. */
export interface Reconciler {
  /** Asks for a round because of `dirt`, after `delayMilliseconds` without another such call. */
  mark(dirt: Dirt, delayMilliseconds: number): void;
  /** Looks at everything now, and replaces all of our table; resolves when what follows is in force or refused. */
  renew(): Promise<void>;
  /** Looks at everything now; resolves as `renew` does. */
  begin(): Promise<void>;
  /** Removes our table, and keeps it away until the policy changes. Throws an NftError. */
  clear(): Promise<void>;
  /** Runs `work` between two rounds. Throws what it throws. */
  exclusively<T>(work: (loop: HoldingLoop) => Promise<T>): Promise<T>;
  /** Makes one transaction of elements that identify nothing, between two rounds. Throws what it throws. */
  amend(write: () => Promise<void>): Promise<void>;
  /** Asks for a round as soon as somebody else has changed our table. */
  watchKernel(): void;
  /** What was true at the end of the last round. */
  enforcement(): Enforcement;
  /** Grows with each round, and as soon as somebody is seen to have changed a table, ours or another. */
  revision(): number;
  /** Ends the loop; a round under way is finished first. What is in force stays. */
  close(): Promise<void>;
}

/** So often a policy that may be half written is looked at again by somebody who waits for what follows from it. */
const MOST_LOOKS = 10;
/** Changes of files are one change for so long after the first. */
const GATHER_MILLISECONDS = 50;
/** A packet can be between two rules while its processor does other work; after so long it is not. */
const SETTLE_MILLISECONDS = 1_000;
const FIRST_RETRY_MILLISECONDS = 1_000;
const LAST_RETRY_MILLISECONDS = 60_000;
/**
 * A table that somebody flushes leaves the host open until it is put right. Asking costs 0.3 ms of processor time,
 * measured: 0.8 in 100 of one.
 */
const WATCH_MILLISECONDS = 40;
/** Others may change tables of theirs many times a second; so often ours is looked at for it. */
const LEAST_BETWEEN_LOOKS_MILLISECONDS = 250;
const EVERYTHING: readonly Dirt[] = ['policy', 'host', 'kernel'];

/** A reconciler that has done nothing yet. */
export function createReconciler({ onRound, ...options }: ReconcilerOptions): Reconciler {
  const rounds = createRounds(options);
  // INVARIANT: what is told is what was true at the end of a round, never in the middle of one.
  let told = rounds.known();
  let revision = 0;
  let lastGeneration: number | undefined;
  let closed = false;
  let forced = false;
  let settlesAfter: number | Promise<void> | undefined;
  /** How often it came to be known whether a policy is to be in force. */
  let decisions = 0;
  let retryMilliseconds = FIRST_RETRY_MILLISECONDS;
  const dirty = new Set<Dirt>();
  let settling: NodeJS.Timeout | undefined;
  let timer: NodeJS.Timeout | undefined;
  let timerDue = 0;
  let timerDelay = 0;
  let gatherUntil = 0;
  let stopWatching: (() => void) | undefined;
  let isBusy = false;
  let calmUntil = 0;
  // INVARIANT: rounds run one after the other, so that the table never has two writers.
  let queue: Promise<void> = Promise.resolve();

  const mark = (dirt: Dirt, delayMilliseconds: number): void => {
    if (closed) return;
    dirty.add(dirt);
    const now = performance.now();
    const due = now + delayMilliseconds;
    // Changes of files that come together are one change; else nothing puts off what is due already, so that no writer
    // keeps another file's change from being seen.
    const isDueBefore = timer !== undefined && timerDue <= due;
    const isTogether = dirt === 'policy' && delayMilliseconds <= timerDelay && due < gatherUntil;
    if (isDueBefore && !isTogether) return;
    if (!isDueBefore) gatherUntil = now + GATHER_MILLISECONDS;
    clearTimeout(timer);
    timerDue = due;
    timerDelay = delayMilliseconds;
    timer = setTimeout(() => void enqueue(), delayMilliseconds);
  };

  const enqueue = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const round = queue.then(oneRound);
    queue = round.then(() => undefined);
    return queue;
  };

  const oneRound = async (): Promise<boolean> => {
    const work = new Set(dirty);
    dirty.clear();
    if (work.size === 0) return true;
    const wasForced = forced;
    forced = false;
    isBusy = true;
    const before = rounds.known().mended;
    const { failed, lookAgain, isSettling, proof, isUndecided, changed } = await rounds.run(work, wasForced);
    isBusy = false;
    if (work.has('kernel') && rounds.known().mended === before)
      calmUntil = performance.now() + LEAST_BETWEEN_LOOKS_MILLISECONDS;
    if (changed) settleLater();
    settlesAfter = proof ?? (isSettling ? lookAgain : undefined);
    // What was asked for of the policy is done when it is known what that says.
    if (isUndecided) forced ||= wasForced;
    else if (work.has('policy')) decisions += 1;
    if (lookAgain !== undefined) mark('policy', lookAgain);
    void proof?.then(() => mark('policy', 0));
    if (failed) {
      // What was to be looked at still is.
      for (const dirt of work) dirty.add(dirt);
      forced ||= wasForced;
      mark('kernel', retryMilliseconds);
      // Our table may have been removed amid the round, for which there is no waiting.
      if (retryMilliseconds === FIRST_RETRY_MILLISECONDS) void hurryIfGone();
      retryMilliseconds = Math.min(2 * retryMilliseconds, LAST_RETRY_MILLISECONDS);
    } else {
      retryMilliseconds = FIRST_RETRY_MILLISECONDS;
    }
    tell();
    return !failed;
  };

  const loop: HoldingLoop = {
    known: () => rounds.known(),
    hold: (held) => rounds.hold(held),
    async bringAbout() {
      dirty.add('host');
      const { held, files } = rounds.known();
      return (await oneRound()) && rounds.known().filesInForce === (held?.loaded ?? files);
    },
  };

  const exclusively = <T>(work: (loop: HoldingLoop) => Promise<T>): Promise<T> => {
    const done = queue
      .then(() => {
        isBusy = true;
        return work(loop);
      })
      .finally(() => {
        isBusy = false;
        tell();
      });
    queue = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  };

  const onGeneration = (generation: number): void => {
    if (generation !== lastGeneration) revision += 1;
    lastGeneration = generation;
    // While we change it ourselves, the change is not somebody else's.
    if (isBusy || !rounds.isOvertaken(generation)) return;
    const calm = calmUntil - performance.now();
    if (!dirty.has('kernel')) mark('kernel', Math.max(rounds.patience(), calm, 0));
    // Without our table the host is open, which asks for haste; and to ask whether it is there costs little.
    if (calm > 0 && rounds.patience() === 0) void hurryIfGone();
  };

  const hurryIfGone = async (): Promise<void> => {
    const isGone = await options.changes.isThere().then(
      (isThere) => !isThere,
      () => false,
    );
    if (isGone && rounds.known().inForce !== undefined) mark('kernel', 0);
  };

  const settleLater = (): void => {
    clearTimeout(settling);
    if (closed) return;
    settling = setTimeout(() => {
      queue = queue.then(async () => {
        isBusy = true;
        if (await rounds.settle()) settleLater();
        isBusy = false;
      });
    }, SETTLE_MILLISECONDS);
  };

  const tell = (): void => {
    told = rounds.known();
    revision += 1;
    onRound(told);
  };

  const lookAtEverything = async (): Promise<void> => {
    for (const dirt of EVERYTHING) dirty.add(dirt);
    const before = decisions;
    await enqueue();
    for (let look = 1; look < MOST_LOOKS && settlesAfter !== undefined; look += 1) {
      const after = settlesAfter;
      // The first may be about files as they were before this call, the second is not: newer ones are not waited for.
      if (typeof after !== 'number' && decisions - before >= 2) break;
      await (typeof after === 'number' ? new Promise((resolve) => setTimeout(resolve, after)) : after);
      dirty.add('policy');
      await enqueue();
    }
  };

  return {
    mark,
    begin: lookAtEverything,
    renew() {
      forced = true;
      return lookAtEverything();
    },
    clear: () => exclusively(() => rounds.clear()),
    exclusively,
    amend(write) {
      const done = queue
        .then(() => {
          isBusy = true;
          return rounds.amend(write);
        })
        .finally(() => {
          isBusy = false;
        });
      queue = done.catch(() => undefined);
      return done;
    },
    watchKernel() {
      stopWatching ??= options.changes.watch(WATCH_MILLISECONDS, onGeneration);
    },
    enforcement: () => told,
    revision: () => revision,
    async close() {
      closed = true;
      clearTimeout(timer);
      clearTimeout(settling);
      stopWatching?.();
      await queue;
    },
  };
}
