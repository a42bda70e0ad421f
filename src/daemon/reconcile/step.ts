import type { Action, LogAction } from './action.ts';
import type { Instant, SaveOutcome } from './observation.ts';
import type { DaemonState } from './state.ts';

/** What follows from an observation: the next state, and what is to be done, in order. */
export interface Decision {
  readonly state: DaemonState;
  readonly actions: readonly Action[];
}

/** A decision in the making. It is local to one call of `decide`, which stays a pure function. */
export class Step {
  readonly at: Instant;
  #state: DaemonState;
  readonly #actions: Action[] = [];

  constructor(state: DaemonState, at: Instant) {
    this.#state = state;
    this.at = at;
  }

  get state(): DaemonState {
    return this.#state;
  }

  update(changes: Partial<DaemonState>): void {
    this.#state = { ...this.#state, ...changes };
  }

  act(action: Action): void {
    this.#actions.push(action);
  }

  log(level: LogAction['level'], message: string, fields: LogAction['fields'] = {}): void {
    this.act({ kind: 'log', level, message, fields });
  }

  /** Notes what became of the steps that keep something on disk: none of them keeps a change out of force. */
  noteSaves(saves: readonly SaveOutcome[]): void {
    for (const failure of saves) {
      const before = this.#state.savingProblem;
      if (failure === undefined) {
        this.update({ savingProblem: undefined });
        continue;
      }
      // The person at the keyboard wants the change now; the next boot begins with the one before, and status says so.
      const message = `what is in force is not kept for the next boot: ${failure.message}`;
      if (before === undefined) this.log('error', message, { err: failure.error });
      this.update({ savingProblem: { since: before?.since ?? this.at.date, message } });
    }
  }

  get decision(): Decision {
    return { state: this.#state, actions: this.#actions };
  }
}
