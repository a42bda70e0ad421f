import type { DaemonState } from '#daemon/reconcile/state.ts';
import { createMemoryRelease } from '#host/memory.ts';

/** Who edits a file edits it again soon; after this long, memory is given back that only changes need. */
const REST_MILLISECONDS = 5_000;

/** Gives memory back a while after each change. */
export class MemoryRest {
  readonly #release = createMemoryRelease();
  #last: Pick<DaemonState, 'policy' | 'applied'> | undefined;
  #timer: NodeJS.Timeout | undefined;

  onCycle(state: DaemonState): void {
    if (this.#last?.policy === state.policy && this.#last?.applied === state.applied) return;
    this.#last = state;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#release, REST_MILLISECONDS).unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
