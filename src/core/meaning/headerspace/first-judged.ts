import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import type { Action } from '#core/model/policy/rule.ts';
import { type Box, type Cell, type Members, visitBoxes } from './boxes.ts';
import { type Extent, type Grid, gridOf, intervalOfRows } from './grid.ts';
import { type Decider, deciderAt, type Side } from './sides.ts';
import type { TrafficClass } from './traffic-classes.ts';

/** Packets of which some are looked for: those that this is done to. */
export interface Sought extends Extent {
  readonly action: Action;
}

/** Packets that were found. */
export interface FoundPackets {
  readonly interval: Interval;
  readonly one: TrafficClass;
  readonly decider: Decider;
}

/** The first packets of a search; `none`: there are none; `unknown`: nobody waited for them any longer. */
export type Search = FoundPackets | 'none' | 'unknown';

/** For each search the first packets, by traffic and then by address; costs what the side costs, and little more for each. */
export function firstJudged<Asked extends Sought>(
  side: Side,
  searches: readonly Asked[],
  { family, patience }: { readonly family: Family; readonly patience: Patience },
): ReadonlyMap<Asked, Search> {
  const { candidates } = side;
  let firsts: Firsts | undefined;
  let isEnded = false;
  try {
    const grid = gridOf([...candidates, ...searches], family, patience);
    const made = new Firsts(side, searches, grid);
    firsts = made;
    const layers = [
      { areas: grid.areas.slice(0, candidates.length), upTo: 1 },
      {
        areas: grid.areas.slice(candidates.length),
        upTo: 'none',
        isAsked: (id: number, column: number, row: number) => made.canBeBefore(id, { column, row }),
      },
    ] as const;
    visitBoxes({ columns: grid.classes.length, rows: grid.starts.length, layers, patience }, made);
  } catch (error) {
    if (!(error instanceof OutOfPatience)) throw error;
    isEnded = true;
  }
  return new Map(searches.map((one, id) => [one, firsts?.of(id) ?? (isEnded ? 'unknown' : 'none')]));
}

/** Goes through boxes, and keeps of each search the first cell. */
class Firsts {
  readonly #side: Side;
  readonly #searches: readonly Sought[];
  readonly #grid: Grid;
  /** Where the first is: ascending by column, then by row. */
  readonly #orders: Float64Array;
  readonly #found: (FoundPackets | undefined)[] = [];

  constructor(side: Side, searches: readonly Sought[], grid: Grid) {
    this.#side = side;
    this.#searches = searches;
    this.#grid = grid;
    this.#orders = new Float64Array(searches.length).fill(Number.POSITIVE_INFINITY);
  }

  of(id: number): FoundPackets | undefined {
    return this.#found[id];
  }

  canBeBefore(id: number, cell: Cell): boolean {
    return this.#orderOf(cell) < (this.#orders[id] ?? 0);
  }

  /** Where all that may decide do the same, it does not matter which of them does where. */
  enter(box: Box, [judges, asked]: readonly Members[]): boolean {
    if (judges === undefined || asked === undefined) return false;
    const { rest } = this.#side;
    const last = judges.length - 1;
    const action = last >= 0 && judges.isWhole(last) ? this.#deciderOf(judges, last).action : rest.action;
    for (let judge = 0; judge <= last; judge += 1) if (this.#deciderOf(judges, judge).action !== action) return true;
    this.leaf(box, [judges, asked]);
    return false;
  }

  leaf(_: Box, [judges, asked]: readonly Members[]): void {
    if (judges === undefined || asked === undefined) return;
    for (let member = 0; member < asked.length; member += 1) {
      const id = asked.id(member);
      const cell = asked.firstCell(member);
      const one = this.#grid.classes[cell.column];
      if (one === undefined || !this.canBeBefore(id, cell)) continue;
      const decider = this.#deciderIn(judges, cell);
      if (decider.action !== this.#searches[id]?.action) continue;
      this.#orders[id] = this.#orderOf(cell);
      this.#found[id] = { interval: intervalOfRows(this.#grid, cell.row, cell.row), one, decider };
    }
  }

  #deciderOf(judges: Members, judge: number): Decider {
    return deciderAt(this.#side, judges.id(judge));
  }

  #deciderIn(judges: Members, cell: Cell): Decider {
    for (let judge = 0; judge < judges.length; judge += 1)
      if (judges.holds(judge, cell)) return this.#deciderOf(judges, judge);
    return this.#side.rest;
  }

  #orderOf({ column, row }: Cell): number {
    return column * this.#grid.starts.length + row;
  }
}
