import type { Logger } from 'pino';
import type { TableWriterLog } from '#kernel/nftables/table-writers.ts';
import type { Trouble } from './enforcement.ts';
import { createFight, MOST_MENDS } from './fight.ts';

/** Whoever changes our table beside us. */
export interface Opponent {
  /** Notes that a change by others is undone, between these generations of tables; returns who made it, as far as known. */
  note(generations: { readonly after: number; readonly last: number } | undefined): readonly string[];
  /** How many milliseconds to wait before a change by others is undone: none, unless they do it again and again. */
  patience(): number;
  /** What is told while they do; undefined while they do not. */
  fight(): Trouble | undefined;
}

/** Nobody yet. Once there is a fight, it is listened to who it is with. */
export function createOpponent(tableWriters: TableWriterLog, log: Logger): Opponent {
  const fight = createFight(() => performance.now());
  let told: Trouble | undefined;
  const endFightThatIsOver = (): void => {
    if (told === undefined || fight.isOn()) return;
    told = undefined;
    tableWriters.stop();
  };
  return {
    note(generations) {
      const by = generations === undefined ? [] : tableWriters.of(generations.after, generations.last);
      const times = fight.note();
      if (times <= MOST_MENDS) return by;
      tableWriters.listen();
      const byWhom = by.length === 0 ? '' : `: ${by.join(', ')}`;
      const message = `another program changes our table again and again${byWhom}: it was put right ${times} times within a minute, and now is so less and less often`;
      if (told === undefined) log.error({ times }, message);
      told = { since: told?.since ?? new Date(), message };
      return by;
    },
    patience() {
      endFightThatIsOver();
      return fight.patience();
    },
    fight() {
      endFightThatIsOver();
      return told;
    },
  };
}
