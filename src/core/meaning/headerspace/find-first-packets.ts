import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import type { Action } from '#core/model/policy/rule.ts';
import { type Box, type Cell, type AreasInBox, visitBoxes } from './boxes.ts';
import { type Extent, type Grid, gridOf, intervalOfRows } from './grid.ts';
import { type RuleDecision, decisionAt, type RuleList } from './rule-list.ts';
import type { TrafficAtom } from './traffic-atoms.ts';

/** Packets of which some are looked for: those that this is done to. */
export interface PacketSearch extends Extent {
  readonly action: Action;
}

/** Packets that were found. */
export interface FoundPackets {
  readonly interval: Interval;
  readonly atom: TrafficAtom;
  readonly decision: RuleDecision;
}

/** The first packets of a search; `none`: there are none; `unknown`: nobody waited for them any longer. */
export type SearchResult = FoundPackets | 'none' | 'unknown';

/** For each search the first packets, by traffic and then by address; costs what the side costs, and little more for each. */
export function findFirstPackets<Asked extends PacketSearch>(
  side: RuleList,
  searches: readonly Asked[],
  { family, patience }: { readonly family: Family; readonly patience: Patience },
): ReadonlyMap<Asked, SearchResult> {
  const { rules } = side;
  let firsts: FirstPackets | undefined;
  let isEnded = false;
  try {
    const grid = gridOf([...rules, ...searches], family, patience);
    const made = new FirstPackets(side, searches, grid);
    firsts = made;
    const layers = [
      { areas: grid.areas.slice(0, rules.length), upTo: 1 },
      {
        areas: grid.areas.slice(rules.length),
        upTo: 'none',
        isAsked: (id: number, column: number, row: number) => made.canBeBefore(id, { column, row }),
      },
    ] as const;
    visitBoxes({ columns: grid.atoms.length, rows: grid.starts.length, layers, patience }, made);
  } catch (error) {
    if (!(error instanceof OutOfPatience)) throw error;
    isEnded = true;
  }
  return new Map(searches.map((one, id) => [one, firsts?.of(id) ?? (isEnded ? 'unknown' : 'none')]));
}

/** Goes through boxes, and keeps of each search the first cell. */
class FirstPackets {
  readonly #side: RuleList;
  readonly #searches: readonly PacketSearch[];
  readonly #grid: Grid;
  /** Where the first is: ascending by column, then by row. */
  readonly #orders: Float64Array;
  readonly #found: (FoundPackets | undefined)[] = [];

  constructor(side: RuleList, searches: readonly PacketSearch[], grid: Grid) {
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
  enter(box: Box, [judges, asked]: readonly AreasInBox[]): boolean {
    if (judges === undefined || asked === undefined) return false;
    const { otherwise } = this.#side;
    const last = judges.length - 1;
    const action = last >= 0 && judges.isWhole(last) ? this.#decisionOf(judges, last).action : otherwise.action;
    for (let judge = 0; judge <= last; judge += 1) if (this.#decisionOf(judges, judge).action !== action) return true;
    this.leaf(box, [judges, asked]);
    return false;
  }

  leaf(_: Box, [judges, asked]: readonly AreasInBox[]): void {
    if (judges === undefined || asked === undefined) return;
    for (let member = 0; member < asked.length; member += 1) {
      const id = asked.id(member);
      const cell = asked.firstCell(member);
      const atom = this.#grid.atoms[cell.column];
      if (atom === undefined || !this.canBeBefore(id, cell)) continue;
      const decision = this.#decisionIn(judges, cell);
      if (decision.action !== this.#searches[id]?.action) continue;
      this.#orders[id] = this.#orderOf(cell);
      this.#found[id] = { interval: intervalOfRows(this.#grid, cell.row, cell.row), atom, decision };
    }
  }

  #decisionOf(judges: AreasInBox, judge: number): RuleDecision {
    return decisionAt(this.#side, judges.id(judge));
  }

  #decisionIn(judges: AreasInBox, cell: Cell): RuleDecision {
    for (let judge = 0; judge < judges.length; judge += 1)
      if (judges.holds(judge, cell)) return this.#decisionOf(judges, judge);
    return this.#side.otherwise;
  }

  #orderOf({ column, row }: Cell): number {
    return column * this.#grid.starts.length + row;
  }
}
