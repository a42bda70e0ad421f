import type { AreasInBox, Box, Cell } from './boxes.ts';
import type { Area } from './grid.ts';

/**
 * The layout of an entry, an area in a box, in an Int32Array: the area's index, and which of its ranges of columns and
 * of rows meet the box, each as the index of the first range and of the one behind the last.
 */
export const ENTRY = { id: 0, columns: 1, columnsEnd: 2, rows: 3, rowsEnd: 4, size: 5 } as const;

/** Whether an area holds all columns and all rows of a box. */
export function isWholeIn(entries: Int32Array, at: number, area: Area, box: Box): boolean {
  return hasAllColumns(entries, at, area, box) && hasAllRows(entries, at, area, box);
}

/** Whether an area holds all of a box, or all columns and no row. */
export function isWholeOrNoneIn(entries: Int32Array, at: number, area: Area, box: Box): boolean {
  if (!hasAllColumns(entries, at, area, box)) return false;
  return entries[at + ENTRY.rows] === entries[at + ENTRY.rowsEnd] || hasAllRows(entries, at, area, box);
}

// An area's ranges are never neighbours, so one range covers the box or none does.
function hasAllColumns(entries: Int32Array, at: number, { columns }: Area, { left, right }: Box): boolean {
  const range = 2 * (entries[at + ENTRY.columns] ?? 0);
  return (columns[range] ?? right) <= left && right <= (columns[range + 1] ?? 0);
}

function hasAllRows(entries: Int32Array, at: number, { rows }: Area, { top, bottom }: Box): boolean {
  const range = entries[at + ENTRY.rows] ?? 0;
  if (range === entries[at + ENTRY.rowsEnd]) return false;
  return (rows[2 * range] ?? bottom) <= top && bottom <= (rows[2 * range + 1] ?? 0);
}

/** An area's ranges on one axis, and the numbers on that axis to narrow them to. */
export interface Narrowing {
  readonly ranges: Int32Array;
  readonly first: number;
  readonly last: number;
}

/**
 * Narrows the pair of indices at `at` (the first range and the one behind the last) to the ranges that meet `first` to
 * `last`. The searches stand here in full: this is the innermost loop of all proofs.
 */
export function narrow(entries: Int32Array, at: number, { ranges, first, last }: Narrowing): void {
  let begin = entries[at] ?? 0;
  let end = entries[at + 1] ?? 0;
  for (let high = end; begin < high; ) {
    const middle = (begin + high) >> 1;
    if ((ranges[2 * middle + 1] ?? 0) < first) begin = middle + 1;
    else high = middle;
  }
  entries[at] = begin;
  for (let low = begin; low < end; ) {
    const middle = (low + end) >> 1;
    if ((ranges[2 * middle] ?? 0) <= last) low = middle + 1;
    else end = middle;
  }
  entries[at + 1] = end;
}

/** The areas of one layer in the box that is visited, read from its entries. */
export class EntriesInBox implements AreasInBox {
  readonly #areas: readonly Area[];
  #entries: Int32Array = new Int32Array(0);
  #from = 0;
  #box: Box = { left: 0, right: 0, top: 0, bottom: 0 };
  length = 0;

  constructor(areas: readonly Area[]) {
    this.#areas = areas;
  }

  /** Shows the entries from `from` up to `to`, which are those of `box`. */
  show(entries: Int32Array, from: number, to: number, box: Box): void {
    this.#entries = entries;
    this.#from = from;
    this.#box = box;
    this.length = (to - from) / ENTRY.size;
  }

  id(member: number): number {
    return this.#entries[this.#from + member * ENTRY.size] ?? 0;
  }

  first(): number | undefined {
    return this.length === 0 ? undefined : this.id(0);
  }

  isWhole(member: number): boolean {
    const area = this.#areas[this.id(member)];
    return area !== undefined && isWholeIn(this.#entries, this.#from + member * ENTRY.size, area, this.#box);
  }

  firstCell(member: number): Cell {
    const at = this.#from + member * ENTRY.size;
    const area = this.#areas[this.id(member)];
    const columns = this.#entries[at + ENTRY.columns] ?? 0;
    const rows = this.#entries[at + ENTRY.rows] ?? 0;
    return {
      column: Math.max(this.#box.left, area?.columns[2 * columns] ?? 0),
      row: Math.max(this.#box.top, area?.rows[2 * rows] ?? 0),
    };
  }

  holds(member: number, { column, row }: Cell): boolean {
    const at = this.#from + member * ENTRY.size;
    const area = this.#areas[this.id(member)];
    if (area === undefined) return false;
    const entry = this.#entries.slice(at, at + ENTRY.size);
    narrow(entry, ENTRY.columns, { ranges: area.columns, first: column, last: column });
    narrow(entry, ENTRY.rows, { ranges: area.rows, first: row, last: row });
    return entry[ENTRY.columns] !== entry[ENTRY.columnsEnd] && entry[ENTRY.rows] !== entry[ENTRY.rowsEnd];
  }
}
