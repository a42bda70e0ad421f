/** What can have changed; each asks for a look at the thing itself. */
export type ResyncTrigger = 'policy' | 'host' | 'kernel';

const EVERYTHING: readonly ResyncTrigger[] = ['policy', 'host', 'kernel'];

/** Changes of files are one change for this long after the first. */
const GATHER_MILLISECONDS = 50;

/** What events have marked for the next cycle, and when that is due. Events do nothing else. */
export class PendingTriggers {
  readonly #triggers = new Set<ResyncTrigger>();
  #onDue: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #due = 0;
  #delay = 0;
  #gatherUntil = 0;

  /** Calls `onDue` whenever a cycle is due. Marks before this ask for nothing: the first cycle looks at everything. */
  connect(onDue: () => void): void {
    this.#onDue = onDue;
  }

  /**
   * Asks for a cycle in `delayMilliseconds`, or earlier where one is due already. Changes of files that come together are
   * one change; else nothing puts off what is due already, so that no writer keeps another file's change from being seen.
   */
  mark(trigger: ResyncTrigger, delayMilliseconds: number): void {
    if (this.#onDue === undefined) return;
    this.#triggers.add(trigger);
    const now = performance.now();
    const due = now + delayMilliseconds;
    const isDueBefore = this.#timer !== undefined && this.#due <= due;
    const isTogether = trigger === 'policy' && delayMilliseconds <= this.#delay && due < this.#gatherUntil;
    if (isDueBefore && !isTogether) return;
    if (!isDueBefore) this.#gatherUntil = now + GATHER_MILLISECONDS;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#delay = delayMilliseconds;
    this.#timer = setTimeout(() => this.#onDue?.(), delayMilliseconds);
  }

  /** Adds what the next cycle looks at, whenever it comes. */
  add(triggers: Iterable<ResyncTrigger>): void {
    for (const trigger of triggers) this.#triggers.add(trigger);
  }

  /** Adds everything there is. */
  addAll(): void {
    this.add(EVERYTHING);
  }

  has(trigger: ResyncTrigger): boolean {
    return this.#triggers.has(trigger);
  }

  /** Returns what is pending, which is then pending no more. */
  take(): ReadonlySet<ResyncTrigger> {
    const taken = new Set(this.#triggers);
    this.#triggers.clear();
    return taken;
  }

  /** A cycle begins now, whatever was due. */
  stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Takes no more. */
  close(): void {
    this.stopTimer();
    this.#onDue = undefined;
  }
}
