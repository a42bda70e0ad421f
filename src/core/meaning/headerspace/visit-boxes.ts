import type { Patience } from '#core/model/policy/patience.ts';
import { ENTRY, EntriesInBox, isWholeIn, isWholeOrNoneIn, narrow } from './box-entries.ts';
import type { Box, BoxVisitor, Layer } from './boxes.ts';
import { type Axis, CutChoice } from './cut-choice.ts';

/** A grid of this many columns and rows, and the areas on it. */
export interface LayeredGrid {
  readonly columns: number;
  readonly rows: number;
  readonly layers: readonly Layer[];
  readonly patience: Patience;
}

/**
 * Cuts a grid into boxes until the rules that count in each box match all of it. A box is cut where the areas in it end,
 * at the median: hidden rules are left out early, and rules far from each other never meet. Of two boxes that share a
 * row or a column, the first along it is visited first. Throws OutOfPatience.
 */
export function visitBoxes({ columns, rows, layers, patience }: LayeredGrid, visitor: BoxVisitor): void {
  if (columns > 0 && rows > 0) new BoxPartition(layers, patience, visitor).visitAll(columns, rows);
}

class BoxPartition {
  readonly #layers: readonly Layer[];
  readonly #patience: Patience;
  readonly #visitor: BoxVisitor;
  readonly #views: readonly EntriesInBox[];
  readonly #cuts = new CutChoice();
  /** A stack of entries: those of a box lie on those of the box that it is a part of. */
  #entries: Int32Array = new Int32Array(1 << 12);
  #top = 0;

  constructor(layers: readonly Layer[], patience: Patience, visitor: BoxVisitor) {
    this.#layers = layers;
    this.#patience = patience;
    this.#visitor = visitor;
    this.#views = layers.map(({ areas }) => new EntriesInBox(areas));
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

  /** Pushes an entry for the area `id`, with its ranges as they stand in `from` at `at`. Returns where the entry begins. */
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

  /** Visits a box; the entries of layer `i` are from `begins[i]` up to `begins[i + 1]`. */
  #visit(box: Box, begins: readonly number[]): void {
    this.#patience.spend(1 + (this.#top - (begins[0] ?? 0)) / ENTRY.size);
    let isCut = false;
    // By index: an iterator would cost more than all the rest of the work on a small box.
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
      for (let at = from; at < to && !isCut; at += ENTRY.size) {
        const area = layer.areas[this.#entries[at] ?? 0];
        isCut = area !== undefined && !isWholeOrNoneIn(this.#entries, at, area, box);
      }
    }
    if (!isCut) this.#visitor.leaf(box, this.#views);
    else if (this.#visitor.enter(box, this.#views)) this.#visitHalves(box, begins);
  }

  #visitHalves(box: Box, begins: readonly number[]): void {
    const { left, right, top, bottom } = box;
    const { axis, last } = this.#cuts.choose(box, this.#entries, this.#rulesAt(begins));
    const isOfColumns = axis === 'columns';
    const stack = this.#top;
    const first = isOfColumns ? { left, right: last, top, bottom } : { left, right, top, bottom: last };
    this.#visit(first, this.#pushHalf(first, begins, axis));
    this.#top = stack;
    const second = isOfColumns ? { left: last + 1, right, top, bottom } : { left, right, top: last + 1, bottom };
    this.#visit(second, this.#pushHalf(second, begins, axis));
    this.#top = stack;
  }

  /** The entries of the layers that split boxes. */
  #rulesAt(begins: readonly number[]) {
    return this.#layers.flatMap(({ upTo, areas }, index) =>
      upTo === 'none' ? [] : [{ areas, from: begins[index] ?? 0, to: begins[index + 1] ?? 0 }],
    );
  }

  /** Pushes the entries of a box's half. Returns where each layer begins. */
  #pushHalf(half: Box, begins: readonly number[], axis: Axis): readonly number[] {
    const halfBegins = [this.#top];
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
      halfBegins.push(this.#top);
    }
    return halfBegins;
  }
}
