/**
 * Where the nodes of a document stand, in numbers: a rule has a dozen nodes, and objects for them would take more memory
 * than the whole policy. A node takes four cells: the offsets at which its text begins and ends, the cell of the node
 * after all its content, and its kind. The key of each entry of a mapping comes directly before its value; the kind of a
 * key is its index in `keys`.
 */
export interface NodeMarks {
  readonly cells: Int32Array;
  readonly keys: readonly string[];
}

/** The first cell of a node. */
export type Mark = number;

/** Kinds of nodes. An alias has the mark of its target instead, as a negative number. */
const SCALAR = 0;
export const MAPPING = 1;
export const SEQUENCE = 2;

/** The cells a node takes. */
export const CELLS = 4;

/** Collects the marks of a document as it is read: each node before its content, with offsets into the text. */
export class MarkWriter {
  #cells: Int32Array;
  #used = 0;
  readonly #keys: string[] = [];

  /** `expected` is a guess at the number of nodes. */
  constructor(expected: number) {
    this.#cells = new Int32Array(Math.ceil(expected) * CELLS + CELLS);
  }

  /** The mark of the next node. */
  next(): Mark {
    return this.#used;
  }

  scalar(start: number, end: number): void {
    this.#note(start, end, SCALAR);
  }

  /** A place without a value, not even an empty text. */
  nothing(): void {
    this.#note(-1, -1, SCALAR);
  }

  alias(target: Mark): void {
    this.#note(-1, -1, -1 - target);
  }

  key(name: string, start: number, end: number): void {
    this.#note(start, end, this.#keys.push(name) - 1);
  }

  /** Begins a mapping or a sequence: all nodes up to its end are in it. */
  begin(kind: typeof MAPPING | typeof SEQUENCE, start: number): Mark {
    return this.#note(start, start, kind);
  }

  end(mark: Mark, end: number): void {
    this.#cells[mark + 1] = end;
    this.#cells[mark + 2] = this.#used;
  }

  /** All marks; adds none afterwards. */
  marks(): NodeMarks {
    return { cells: this.#cells.slice(0, this.#used), keys: this.#keys };
  }

  #note(start: number, end: number, kind: number): Mark {
    const mark = this.#used;
    this.#used += CELLS;
    if (this.#used > this.#cells.length) {
      const bigger = new Int32Array(this.#cells.length * 2);
      bigger.set(this.#cells);
      this.#cells = bigger;
    }
    this.#cells[mark] = start;
    this.#cells[mark + 1] = end;
    this.#cells[mark + 2] = this.#used;
    this.#cells[mark + 3] = kind;
    return mark;
  }
}
