import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import type { Action } from '#core/model/policy/rule.ts';
import type { AreasInBox, Box, Cell } from './boxes.ts';
import { type Extent, type Grid, gridOf, intervalOfRows } from './grid.ts';
import { decisionAt, type RuleDecision, type RuleList } from './rule-list.ts';
import type { TrafficAtom } from './traffic-atoms.ts';
import { visitBoxes } from './visit-boxes.ts';

/** Packets to search: those of an extent that get this action. */
export interface PacketSearch extends Extent {
  readonly action: Action;
}

/** Packets that a search found. */
export interface FoundPackets {
  readonly interval: Interval;
  readonly atom: TrafficAtom;
  readonly decision: RuleDecision;
}

/** The first packets that match a search; `none`: there are none; `unknown`: patience ended first. */
export type SearchResult = FoundPackets | 'none' | 'unknown';

/**
 * Finds for each search the first packets, by traffic and then by address (Batfish: `searchFilters`). All searches
 * share one pass over the rules; each adds little.
 */
export function findFirstPackets<Asked extends PacketSearch>(
  list: RuleList,
  searches: readonly Asked[],
  { family, patience }: { readonly family: Family; readonly patience: Patience },
): ReadonlyMap<Asked, SearchResult> {
  const { rules } = list;
  let firsts: FirstPackets | undefined;
  let isEnded = false;
  try {
    const grid = gridOf([...rules, ...searches], family, patience);
    const found = new FirstPackets(list, searches, grid);
    firsts = found;
    const layers = [
      { areas: grid.areas.slice(0, rules.length), upTo: 1 },
      {
        areas: grid.areas.slice(rules.length),
        upTo: 'none',
        isAsked: (id: number, column: number, row: number) => found.canBeBefore(id, { column, row }),
      },
    ] as const;
    visitBoxes({ columns: grid.atoms.length, rows: grid.starts.length, layers, patience }, found);
  } catch (error) {
    if (!(error instanceof OutOfPatience)) throw error;
    isEnded = true;
  }
  return new Map(searches.map((search, id) => [search, firsts?.of(id) ?? (isEnded ? 'unknown' : 'none')]));
}

/** Visits boxes, and keeps the first matching cell of each search. */
class FirstPackets {
  readonly #list: RuleList;
  readonly #searches: readonly PacketSearch[];
  readonly #grid: Grid;
  /** The position of the first cell found: ascending by column, then by row. */
  readonly #orders: Float64Array;
  readonly #found: (FoundPackets | undefined)[] = [];

  constructor(list: RuleList, searches: readonly PacketSearch[], grid: Grid) {
    this.#list = list;
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

  /** If all rules that may decide have one action, it does not matter which of them decides where. */
  enter(box: Box, [rules, searches]: readonly AreasInBox[]): boolean {
    if (rules === undefined || searches === undefined) return false;
    const { otherwise } = this.#list;
    const last = rules.length - 1;
    const action = last >= 0 && rules.isWhole(last) ? this.#decisionOf(rules, last).action : otherwise.action;
    for (let rule = 0; rule <= last; rule += 1) if (this.#decisionOf(rules, rule).action !== action) return true;
    this.leaf(box, [rules, searches]);
    return false;
  }

  leaf(_: Box, [rules, searches]: readonly AreasInBox[]): void {
    if (rules === undefined || searches === undefined) return;
    for (let member = 0; member < searches.length; member += 1) {
      const id = searches.id(member);
      const cell = searches.firstCell(member);
      const atom = this.#grid.atoms[cell.column];
      if (atom === undefined || !this.canBeBefore(id, cell)) continue;
      const decision = this.#decisionIn(rules, cell);
      if (decision.action !== this.#searches[id]?.action) continue;
      this.#orders[id] = this.#orderOf(cell);
      this.#found[id] = { interval: intervalOfRows(this.#grid, cell.row, cell.row), atom, decision };
    }
  }

  #decisionOf(rules: AreasInBox, member: number): RuleDecision {
    return decisionAt(this.#list, rules.id(member));
  }

  #decisionIn(rules: AreasInBox, cell: Cell): RuleDecision {
    for (let member = 0; member < rules.length; member += 1)
      if (rules.holds(member, cell)) return this.#decisionOf(rules, member);
    return this.#list.otherwise;
  }

  #orderOf({ column, row }: Cell): number {
    return column * this.#grid.starts.length + row;
  }
}
