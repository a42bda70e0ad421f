/**
 * Where the nodes of a document stand, in numbers: a rule has a dozen nodes, and objects for them would weigh more than
 * all that is made of the policy. A node takes four cells: the offsets at which its text begins and ends, the cell of
 * what follows behind all that is in it, and what it is. The key and the value of each entry of a mapping stand one
 * behind the other; what a key is, is its index in `keys`.
 */
export interface NodeMarks {
  readonly cells: Int32Array;
  readonly keys: readonly string[];
}

/** The first cell of a node. */
export type Mark = number;

/** What a node is; an alias is the mark of what it names, in place of its own, below zero. */
const SCALAR = 0;
export const MAPPING = 1;
export const SEQUENCE = 2;

/** The cells a node takes. */
export const CELLS = 4;

/** What reads a document notes its nodes here, each before those in it, with offsets into the text. */
export class MarkWriter {
  private cells: Int32Array;
  private used = 0;
  private readonly keys: string[] = [];

  /** `expected` is a guess at the number of nodes. */
  constructor(expected: number) {
    this.cells = new Int32Array(Math.ceil(expected) * CELLS + CELLS);
  }

  /** The mark of the node to be noted next. */
  next(): Mark {
    return this.used;
  }

  scalar(start: number, end: number): void {
    this.note(start, end, SCALAR);
  }

  /** A place that has no value, and not even an empty text. */
  nothing(): void {
    this.note(-1, -1, SCALAR);
  }

  alias(target: Mark): void {
    this.note(-1, -1, -1 - target);
  }

  key(name: string, start: number, end: number): void {
    this.note(start, end, this.keys.push(name) - 1);
  }

  /** Begins a mapping or a sequence: all nodes up to its end are in it. */
  begin(kind: typeof MAPPING | typeof SEQUENCE, start: number): Mark {
    return this.note(start, start, kind);
  }

  end(mark: Mark, end: number): void {
    this.cells[mark + 1] = end;
    this.cells[mark + 2] = this.used;
  }

  /** What was noted; nothing is to be added then. */
  marks(): NodeMarks {
    return { cells: this.cells.slice(0, this.used), keys: this.keys };
  }

  private note(start: number, end: number, kind: number): Mark {
    const mark = this.used;
    this.used += CELLS;
    if (this.used > this.cells.length) {
      const bigger = new Int32Array(this.cells.length * 2);
      bigger.set(this.cells);
      this.cells = bigger;
    }
    this.cells[mark] = start;
    this.cells[mark + 1] = end;
    this.cells[mark + 2] = this.used;
    this.cells[mark + 3] = kind;
    return mark;
  }
}
