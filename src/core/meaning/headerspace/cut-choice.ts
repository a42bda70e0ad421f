import { ENTRY } from './box-entries.ts';
import type { Box } from './boxes.ts';
import type { Area } from './grid.ts';

/** An axis of a grid. */
export type Axis = 'columns' | 'rows';

/** Where to cut a box in two: the axis, and the last number of the first half. */
export interface Cut {
  readonly axis: Axis;
  readonly last: number;
}

/** Areas of one layer in a box, as entries from `from` up to `to`. */
export interface LayerEntries {
  readonly areas: readonly Area[];
  readonly from: number;
  readonly to: number;
}

/** At most this many areas of each layer of a box are sampled to choose its cut. */
const MAX_SAMPLED_AREAS = 40;

/** Chooses where to cut boxes. */
export class CutChoice {
  readonly #columns = new AxisEnds();
  readonly #rows = new AxisEnds();

  /** Chooses the axis on which more areas end within the box, and the median of where they end. */
  choose(box: Box, entries: Int32Array, layers: readonly LayerEntries[]): Cut {
    const [columns, rows] = [this.#columns, this.#rows];
    columns.clear(box.left, box.right);
    rows.clear(box.top, box.bottom);
    for (const { areas, from, to } of layers) {
      const step = ENTRY.size * Math.max(1, Math.floor((to - from) / ENTRY.size / MAX_SAMPLED_AREAS));
      for (let at = from; at < to; at += step) this.#addEnds(entries, at, areas);
      // The steps may miss the only areas that end within the box.
      for (let at = from; at < to && columns.count + rows.count === 0; at += ENTRY.size)
        this.#addEnds(entries, at, areas);
    }
    return columns.count >= rows.count
      ? { axis: 'columns', last: columns.median() }
      : { axis: 'rows', last: rows.median() };
  }

  #addEnds(entries: Int32Array, at: number, areas: readonly Area[]): void {
    const area = areas[entries[at] ?? 0];
    if (area === undefined) return;
    this.#columns.addOf(area.columns, entries[at + ENTRY.columns] ?? 0, entries[at + ENTRY.columnsEnd] ?? 0);
    this.#rows.addOf(area.rows, entries[at + ENTRY.rows] ?? 0, entries[at + ENTRY.rowsEnd] ?? 0);
  }
}

/** Where ranges end within a box on one axis: each number is the last before a cut. */
class AxisEnds {
  // Three ranges for each sampled area, with two ends each, of two layers; a layer is sampled up to twice as often.
  readonly #found = new Int32Array(2 * 2 * 4 * 2 * MAX_SAMPLED_AREAS);
  #first = 0;
  #last = 0;
  count = 0;

  clear(first: number, last: number): void {
    this.#first = first;
    this.#last = last;
    this.count = 0;
  }

  /** Adds the ends of the first, the middle and the last of the ranges. */
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
