import type { Box } from './boxes.ts';

/** Ascending ranges of numbers that are no neighbours. */
type Ranges = readonly (readonly [first: number, last: number])[];

/** All cells in some columns and in some rows. */
export interface MergedBox {
  readonly columns: Ranges;
  readonly rows: Ranges;
}

/**
 * The least parts that boxes, which do not overlap, are together, if columns with the same rows are one part: whatever
 * the boxes were. Ascending by their first column.
 */
export function mergeBoxes(boxes: readonly Box[]): readonly MergedBox[] {
  const parts = new Map<string, { readonly columns: [number, number][]; readonly rows: Ranges }>();
  for (const { first, last, rows } of slabsOf(boxes)) {
    const key = rows.join();
    const part = parts.get(key) ?? { columns: [], rows };
    parts.set(key, part);
    const before = part.columns.at(-1);
    if (before !== undefined && before[1] + 1 === first) before[1] = last;
    else part.columns.push([first, last]);
  }
  return [...parts.values()];
}

/** Neighbouring columns between which no box begins or ends, and the rows that the boxes have there; ascending. */
function* slabsOf(boxes: readonly Box[]): Generator<{
  readonly first: number;
  readonly last: number;
  readonly rows: Ranges;
}> {
  const ends = [...new Set(boxes.flatMap(({ left, right }) => [left, right + 1]))].toSorted((a, b) => a - b);
  const beginning = boxes.toSorted((a, b) => a.left - b.left);
  let begun = 0;
  let open: Box[] = [];
  for (const [place, first] of ends.entries()) {
    open = open.filter(({ right }) => right >= first);
    for (let box = beginning[begun]; box !== undefined && box.left === first; box = beginning[begun]) {
      open.splice(placeAmong(open, box.top), 0, box);
      begun += 1;
    }
    const next = ends[place + 1];
    if (next !== undefined && open.length > 0) yield { first, last: next - 1, rows: joinRows(open) };
  }
}

/** Where a box belongs among others that are in the order of their rows. */
function placeAmong(ordered: readonly Box[], top: number): number {
  let [begin, end] = [0, ordered.length];
  while (begin < end) {
    const middle = (begin + end) >> 1;
    if ((ordered[middle]?.top ?? 0) < top) begin = middle + 1;
    else end = middle;
  }
  return begin;
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
