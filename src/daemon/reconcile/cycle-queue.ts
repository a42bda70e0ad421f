/** Runs work one piece after another. */
export class CycleQueue {
  // INVARIANT: cycles, and all else that changes the kernel, run one after the other: the table never has two writers.
  #last: Promise<unknown> = Promise.resolve();
  #isBusy = false;

  /** Whether work is under way. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Runs `work` when all that came before is done. Throws what it throws. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      this.#isBusy = true;
      try {
        return await work();
      } finally {
        this.#isBusy = false;
      }
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Resolves when all that was asked for is done. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
