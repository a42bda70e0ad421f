/**
 * Counts how often each number below a limit is active, and finds the lowest active one: a heap from which inactive
 * numbers are removed only when they reach the top.
 */
export class LowestActive {
  readonly #counts: Int32Array;
  readonly #heap: number[] = [];
  readonly #isInHeap: Uint8Array;

  constructor(limit: number) {
    this.#counts = new Int32Array(limit);
    this.#isInHeap = new Uint8Array(limit);
  }

  change(number: number, by: 1 | -1): void {
    this.#counts[number] = (this.#counts[number] ?? 0) + by;
    if (by < 0 || this.#isInHeap[number] === 1) return;
    this.#isInHeap[number] = 1;
    this.#push(number);
  }

  first(): number | undefined {
    for (;;) {
      const [lowest] = this.#heap;
      if (lowest === undefined || (this.#counts[lowest] ?? 0) > 0) return lowest;
      this.#isInHeap[lowest] = 0;
      this.#pop();
    }
  }

  #push(number: number): void {
    const heap = this.#heap;
    let at = heap.push(number) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] ?? 0;
      if (above <= number) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = number;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child += 1;
      const below = heap[child] ?? 0;
      if (below >= last) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}
