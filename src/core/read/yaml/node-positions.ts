import type { Span } from '#core/model/policy/span.ts';
import { CELLS, MAPPING, type Mark, type NodeMarks, SEQUENCE } from './node-marks.ts';
import type { SpanAt } from './text-positions.ts';

/** Keys and indices from the root of a document to a place in it. */
export type Path = readonly (string | number)[];

/** Where the values and keys of a document stand. A path that does not exist yields its nearest existing ancestor. */
export interface NodePositions {
  /** The span of a value; of an empty one, the span of its key. */
  readonly spanOf: (path: Path) => Span;
  /** The span of the key at the path's end; in a list, of the entry. */
  readonly keySpanOf: (path: Path) => Span;
}

/** An entry of a collection; a list's has no key. */
interface Step {
  readonly key: Mark | undefined;
  readonly node: Mark;
}

/** Larger mappings, and all lists, are indexed on first use. */
const MAX_UNINDEXED = 16;

/** Positions by path: the cost of a span grows with its path's length, not with the number of entries. */
export function nodePositions({ cells, keys }: NodeMarks, spanAt: SpanAt): NodePositions {
  const lists = new Map<Mark, readonly Mark[]>();
  const mappings = new Map<Mark, ReadonlyMap<string, Step>>();
  const cell = (at: number): number => cells[at] ?? -1;
  const behind = (mark: Mark): Mark => cell(mark + 2);

  const entriesOf = (list: Mark): readonly Mark[] => {
    const indexed = lists.get(list);
    if (indexed !== undefined) return indexed;
    const entries: Mark[] = [];
    for (let mark = list + CELLS; mark < behind(list); mark = behind(mark)) entries.push(mark);
    lists.set(list, entries);
    return entries;
  };

  const indexOf = (mapping: Mark): ReadonlyMap<string, Step> => {
    const index = new Map<string, Step>();
    for (let key = mapping + CELLS; key < behind(mapping); key = behind(key + CELLS)) {
      const name = keys[cell(key + 3)] ?? '';
      // Of a key written twice the first counts, as for the values.
      if (!index.has(name)) index.set(name, { key, node: key + CELLS });
    }
    mappings.set(mapping, index);
    return index;
  };

  const entryOf = (mapping: Mark, name: string): Step | undefined => {
    const index = mappings.get(mapping);
    if (index !== undefined) return index.get(name);
    let seen = 0;
    for (let key = mapping + CELLS; key < behind(mapping); key = behind(key + CELLS)) {
      if (keys[cell(key + 3)] === name) return { key, node: key + CELLS };
      seen += 1;
      if (seen > MAX_UNINDEXED) return indexOf(mapping).get(name);
    }
    return undefined;
  };

  const follow = (mark: Mark): Mark => {
    const kind = cell(mark + 3);
    return kind < 0 ? -1 - kind : mark;
  };

  const child = (parent: Mark, at: string | number): Step | undefined => {
    const mark = follow(parent);
    const kind = cell(mark + 3);
    if (kind === MAPPING) return entryOf(mark, String(at));
    if (kind !== SEQUENCE || typeof at !== 'number') return undefined;
    const node = entriesOf(mark)[at];
    return node === undefined ? undefined : { key: undefined, node };
  };

  /** The existing steps along the path, the root first. */
  const walk = (path: Path): readonly Step[] => {
    if (cells.length === 0) return [];
    let step: Step = { key: undefined, node: 0 };
    const steps = [step];
    for (const at of path) {
      const next = child(step.node, at);
      if (next === undefined) break;
      steps.push(next);
      step = next;
    }
    return steps;
  };

  const spanOfMark = (mark: Mark): Span => spanAt(cell(mark), cell(mark + 1));

  const valueSpan = (steps: readonly Step[]): Span => {
    for (let i = steps.length - 1; i >= 0; i -= 1) {
      const { key, node } = steps[i] as Step;
      const value = follow(node);
      if (cell(value + 1) > cell(value)) return spanOfMark(value);
      if (key !== undefined) return spanOfMark(key);
      if (cell(value) >= 0) return spanOfMark(value);
    }
    return spanAt(0, 0);
  };

  return {
    spanOf: (path) => valueSpan(walk(path)),
    keySpanOf: (path) => {
      const steps = walk(path);
      const key = steps.length === path.length + 1 ? steps.at(-1)?.key : undefined;
      return key === undefined ? valueSpan(steps) : spanOfMark(key);
    },
  };
}
