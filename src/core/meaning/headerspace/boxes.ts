import type { Area } from './grid.ts';
import type { Patience } from '#core/model/policy/patience.ts';

/** Cells of a grid: all from a first to a last column and from a first to a last row. */
export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Areas that a grid is looked at for. */
export interface Layer {
  /** In deciding order. */
  readonly areas: readonly Area[];
  /**
   * Of a box, the areas behind so many that hold all of it count for nothing. `none`: they are what is asked about: none
   * of them hides another, they part no box, and boxes without any of them are not looked at.
   */
  readonly upTo: 1 | 2 | 'none';
  /** Whether an area counts in boxes that hold none of its rows, as one that may be about every address does. */
  readonly isEverywhere?: ((id: number) => boolean) | undefined;
  /** Whether to ask about an area any more, in boxes that begin here. */
  readonly isAsked?: ((id: number, left: number, top: number) => boolean) | undefined;
}

/** The areas of a layer that count in a box, in deciding order. Holds until the visit of the box is over. */
export interface AreasInBox {
  readonly length: number;
  /** The place of one of them in its layer. */
  id(member: number): number;
  /** The place of the first of them in its layer; undefined where there is none. */
  first(): number | undefined;
  /** Whether it holds all of the box. */
  isWhole(member: number): boolean;
  /** The first cell of the box that it holds. */
  firstCell(member: number): Cell;
  /** Whether it holds a cell of the box. */
  holds(member: number, cell: Cell): boolean;
}

/** A cell of a grid. */
export interface Cell {
  readonly column: number;
  readonly row: number;
}

/** What is done with boxes; layers are in the order in which they were given. */
export interface Visitor {
  /** Whether to look at parts of a box. */
  enter(box: Box, layers: readonly AreasInBox[]): boolean;
  /** Takes a box of which each area of a layer that decides holds all or nothing. */
  leaf(box: Box, layers: readonly AreasInBox[]): void;
}

/** What is looked at: a grid of so many columns and rows. */
export interface BoxedGrid {
  readonly columns: number;
  readonly rows: number;
  readonly layers: readonly Layer[];
  readonly patience: Patience;
}

/**
 * Parts a grid into boxes until the rules that count in each are about all of it. A box is parted where the areas in it
 * end, at the median: what is hidden is left out early, and rules far from each other never meet. Of two boxes that one
 * row or one column passes through, the one that comes first in it is visited first.
 */
export function visitBoxes({ columns, rows, layers, patience }: BoxedGrid, visitor: Visitor): void {
  if (columns > 0 && rows > 0) new BoxPartition(layers, patience, visitor).visitAll(columns, rows);
}

/** An area in a box: its place, and which of its ranges of columns and of rows meet the box. */
const ENTRY = { id: 0, columns: 1, columnsEnd: 2, rows: 3, rowsEnd: 4, size: 5 } as const;

/** So many of the areas of a box are asked where to part it. */
const MAX_SAMPLED_AREAS = 40;

class BoxPartition {
  readonly #layers: readonly Layer[];
  readonly #patience: Patience;
  readonly #visitor: Visitor;
  readonly #views: readonly AreasInBoxView[];
  /** A stack of entries: those of a box lie on those of the box that it is a part of. */
  #entries: Int32Array = new Int32Array(1 << 12);
  #top = 0;
  readonly #ends = { columns: new CutCandidates(), rows: new CutCandidates() };

  constructor(layers: readonly Layer[], patience: Patience, visitor: Visitor) {
    this.#layers = layers;
    this.#patience = patience;
    this.#visitor = visitor;
    this.#views = layers.map(({ areas }) => new AreasInBoxView(areas));
  }

  visitAll(columns: number, rows: number): void {
    const box: Box = { left: 0, right: columns - 1, top: 0, bottom: rows - 1 };
    const begins = [0];
    for (const layer of this.#layers) {
      let whole = 0;
      for (const [id, area] of layer.areas.entries()) {
        const pushed = this.#push(id, [0, area.columns.length >> 1, 0, area.rows.length >> 1], 0);
        if (!this.#counts(layer, pushed, box)) this.#top = pushed;
        else if (layer.upTo !== 'none' && isWholeIn(this.#entries, pushed, area, box)) whole += 1;
        if (whole === layer.upTo) break;
      }
      begins.push(this.#top);
    }
    this.#visit(box, begins);
  }

  /** Puts an entry on the stack: its place, and its ranges as they stand `at` there in `from`. Returns where it begins. */
  #push(id: number, from: ArrayLike<number>, at: number): number {
    const begin = this.#top;
    if (begin + ENTRY.size > this.#entries.length) {
      const larger = new Int32Array(2 * this.#entries.length);
      larger.set(this.#entries);
      this.#entries = larger;
    }
    const entries = this.#entries;
    entries[begin] = id;
    for (let word = 0; word < ENTRY.size - 1; word += 1) entries[begin + 1 + word] = from[at + word] ?? 0;
    this.#top = begin + ENTRY.size;
    return begin;
  }

  #counts({ isEverywhere, isAsked }: Layer, at: number, { left, top }: Box): boolean {
    const entries = this.#entries;
    const id = entries[at] ?? 0;
    if (entries[at + ENTRY.columns] === entries[at + ENTRY.columnsEnd]) return false;
    if (entries[at + ENTRY.rows] === entries[at + ENTRY.rowsEnd] && isEverywhere?.(id) !== true) return false;
    return isAsked === undefined || isAsked(id, left, top);
  }

  #visit(box: Box, begins: readonly number[]): void {
    this.#patience.spend(1 + (this.#top - (begins[0] ?? 0)) / ENTRY.size);
    let isParted = false;
    // By number: iterators cost more than all else that is done with a small box.
    for (let index = 0; index < this.#layers.length; index += 1) {
      const layer = this.#layers[index];
      const from = begins[index] ?? 0;
      const to = begins[index + 1] ?? 0;
      this.#views[index]?.show(this.#entries, from, to, box);
      if (layer === undefined) continue;
      if (layer.upTo === 'none') {
        if (from === to) return;
        continue;
      }
      for (let at = from; at < to && !isParted; at += ENTRY.size) {
        const area = layer.areas[this.#entries[at] ?? 0];
        isParted = area !== undefined && !isWholeOrNoneIn(this.#entries, at, area, box);
      }
    }
    if (!isParted) {
      this.#visitor.leaf(box, this.#views);
      return;
    }
    if (!this.#visitor.enter(box, this.#views)) return;
    const { axis, last } = this.#whereToPart(box, begins);
    const { left, right, top, bottom } = box;
    const isOfColumns = axis === 'columns';
    const stack = this.#top;
    const first = isOfColumns ? { left, right: last, top, bottom } : { left, right, top, bottom: last };
    this.#visit(first, this.#pushHalf(first, begins, axis));
    this.#top = stack;
    const second = isOfColumns ? { left: last + 1, right, top, bottom } : { left, right, top: last + 1, bottom };
    this.#visit(second, this.#pushHalf(second, begins, axis));
    this.#top = stack;
  }

  /** Puts the entries of a box's half on the stack. */
  #pushHalf(half: Box, begins: readonly number[], axis: Axis): readonly number[] {
    const own = [this.#top];
    const first = axis === 'columns' ? half.left : half.top;
    const last = axis === 'columns' ? half.right : half.bottom;
    for (let index = 0; index < this.#layers.length; index += 1) {
      const layer = this.#layers[index];
      const end = begins[index + 1] ?? 0;
      let whole = 0;
      for (let at = begins[index] ?? 0; at < end && layer !== undefined && whole !== layer.upTo; at += ENTRY.size) {
        const id = this.#entries[at] ?? 0;
        const area = layer.areas[id];
        if (area === undefined) continue;
        const pushed = this.#push(id, this.#entries, at + ENTRY.columns);
        const ranges = axis === 'columns' ? area.columns : area.rows;
        narrow(this.#entries, pushed + (axis === 'columns' ? ENTRY.columns : ENTRY.rows), { ranges, first, last });
        if (!this.#counts(layer, pushed, half)) this.#top = pushed;
        else if (layer.upTo !== 'none' && isWholeIn(this.#entries, pushed, area, half)) whole += 1;
      }
      own.push(this.#top);
    }
    return own;
  }

  /** The axis that most of the areas end within, and the median of where they do: the last number of the first half. */
  #whereToPart(box: Box, begins: readonly number[]): { readonly axis: Axis; readonly last: number } {
    const { columns, rows } = this.#ends;
    columns.clear(box.left, box.right);
    rows.clear(box.top, box.bottom);
    for (let index = 0; index < this.#layers.length; index += 1) {
      const layer = this.#layers[index];
      if (layer === undefined || layer.upTo === 'none') continue;
      const from = begins[index] ?? 0;
      const to = begins[index + 1] ?? 0;
      const step = ENTRY.size * Math.max(1, Math.floor((to - from) / ENTRY.size / MAX_SAMPLED_AREAS));
      for (let at = from; at < to; at += step) this.#askEnds(at, layer.areas);
      // Steps may miss the only ones that end within the box.
      for (let at = from; at < to && columns.count + rows.count === 0; at += ENTRY.size) this.#askEnds(at, layer.areas);
    }
    const isOfColumns = columns.count >= rows.count;
    return { axis: isOfColumns ? 'columns' : 'rows', last: (isOfColumns ? columns : rows).median() };
  }

  #askEnds(at: number, areas: readonly Area[]): void {
    const entries = this.#entries;
    const area = areas[entries[at] ?? 0];
    if (area === undefined) return;
    this.#ends.columns.addOf(area.columns, entries[at + ENTRY.columns] ?? 0, entries[at + ENTRY.columnsEnd] ?? 0);
    this.#ends.rows.addOf(area.rows, entries[at + ENTRY.rows] ?? 0, entries[at + ENTRY.rowsEnd] ?? 0);
  }
}

type Axis = 'columns' | 'rows';

/** Where a box can be parted: numbers each of which is the last before a cut. */
class CutCandidates {
  // Three ranges of each that is asked, two ends each, of two layers.
  readonly #found = new Int32Array(2 * 2 * 4 * 2 * MAX_SAMPLED_AREAS);
  #first = 0;
  #last = 0;
  count = 0;

  clear(first: number, last: number): void {
    this.#first = first;
    this.#last = last;
    this.count = 0;
  }

  /** Adds the ends of the first, the middle and the last of ranges. */
  addOf(ranges: Int32Array, begin: number, end: number): void {
    const step = Math.max(1, (end - begin) >> 1);
    for (let range = begin; range < end; range += step) {
      const from = ranges[2 * range] ?? 0;
      const to = ranges[2 * range + 1] ?? 0;
      if (from > this.#first) this.#found[this.count++] = from - 1;
      if (to < this.#last) this.#found[this.count++] = to;
    }
  }

  median(): number {
    return this.#found.subarray(0, this.count).sort()[this.count >> 1] ?? 0;
  }
}

class AreasInBoxView implements AreasInBox {
  readonly #areas: readonly Area[];
  #entries: Int32Array = new Int32Array(0);
  #from = 0;
  #box: Box = { left: 0, right: 0, top: 0, bottom: 0 };
  length = 0;

  constructor(areas: readonly Area[]) {
    this.#areas = areas;
  }

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
    const own = this.#entries.slice(at, at + ENTRY.size);
    narrow(own, ENTRY.columns, { ranges: area.columns, first: column, last: column });
    narrow(own, ENTRY.rows, { ranges: area.rows, first: row, last: row });
    return own[ENTRY.columns] !== own[ENTRY.columnsEnd] && own[ENTRY.rows] !== own[ENTRY.rowsEnd];
  }
}

/** Whether an area holds all columns and all rows of a box. */
function isWholeIn(entries: Int32Array, at: number, area: Area, box: Box): boolean {
  return hasAllColumns(entries, at, area, box) && hasAllRows(entries, at, area, box);
}

/** Whether an area holds all of a box, or all columns and no row. */
function isWholeOrNoneIn(entries: Int32Array, at: number, area: Area, box: Box): boolean {
  if (!hasAllColumns(entries, at, area, box)) return false;
  return entries[at + ENTRY.rows] === entries[at + ENTRY.rowsEnd] || hasAllRows(entries, at, area, box);
}

// Ranges of an area are no neighbours, so what holds all of a box is one of them.
function hasAllColumns(entries: Int32Array, at: number, { columns }: Area, { left, right }: Box): boolean {
  const range = 2 * (entries[at + ENTRY.columns] ?? 0);
  return (columns[range] ?? right) <= left && right <= (columns[range + 1] ?? 0);
}

function hasAllRows(entries: Int32Array, at: number, { rows }: Area, { top, bottom }: Box): boolean {
  const range = entries[at + ENTRY.rows] ?? 0;
  if (range === entries[at + ENTRY.rowsEnd]) return false;
  return (rows[2 * range] ?? bottom) <= top && bottom <= (rows[2 * range + 1] ?? 0);
}

interface Narrowing {
  /** Of an area, on one axis. */
  readonly ranges: Int32Array;
  readonly first: number;
  readonly last: number;
}

/** Leaves of the ranges that stand `at` there, by the places of the first and of the one behind the last, those that meet numbers. */
function narrow(entries: Int32Array, at: number, { ranges, first, last }: Narrowing): void {
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
