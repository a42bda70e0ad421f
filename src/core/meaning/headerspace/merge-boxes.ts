import { firstIndex } from '#core/model/net/first-index.ts';
import type { Box } from './boxes.ts';

/** Ascending ranges of numbers that are no neighbours. */
type Ranges = readonly (readonly [first: number, last: number])[];

/** All cells in some columns and in some rows. */
export interface MergedBox {
  readonly columns: Ranges;
  readonly rows: Ranges;
}

/**
 * Merges boxes that do not overlap: columns with the same rows become one. The result depends on the cells alone, not
 * on how the boxes cut them. Ascending by first column.
 */
export function mergeBoxes(boxes: readonly Box[]): readonly MergedBox[] {
  const merged = new Map<string, { readonly columns: [number, number][]; readonly rows: Ranges }>();
  for (const { first, last, rows } of slabsOf(boxes)) {
    const key = rows.join();
    const box = merged.get(key) ?? { columns: [], rows };
    merged.set(key, box);
    const before = box.columns.at(-1);
    if (before !== undefined && before[1] + 1 === first) before[1] = last;
    else box.columns.push([first, last]);
  }
  return [...merged.values()];
}

/** Neighbouring columns between which no box begins or ends, and the rows that boxes have there; ascending. */
function* slabsOf(boxes: readonly Box[]): Generator<{
  readonly first: number;
  readonly last: number;
  readonly rows: Ranges;
}> {
  const ends = [...new Set(boxes.flatMap(({ left, right }) => [left, right + 1]))].toSorted((a, b) => a - b);
  const beginning = boxes.toSorted((a, b) => a.left - b.left);
  let begun = 0;
  let open: Box[] = [];
  for (const [index, first] of ends.entries()) {
    open = open.filter(({ right }) => right >= first);
    for (let box = beginning[begun]; box !== undefined && box.left === first; box = beginning[begun]) {
      const { top } = box;
      const place = firstIndex(0, open.length, (at) => (open[at]?.top ?? 0) >= top);
      open.splice(place, 0, box);
      begun += 1;
    }
    const next = ends[index + 1];
    if (next !== undefined && open.length > 0) yield { first, last: next - 1, rows: joinRows(open) };
  }
}

function joinRows(ordered: readonly Box[]): Ranges {
  const rows: [number, number][] = [];
  for (const { top, bottom } of ordered) {
    const last = rows.at(-1);
    if (last !== undefined && last[1] + 1 === top) last[1] = bottom;
    else rows.push([top, bottom]);
  }
  return rows;
}
