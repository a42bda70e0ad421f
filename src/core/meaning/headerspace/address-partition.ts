import { type Family, highestAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';

/** Whom a rule is about: intervals that do not overlap, or every address of the family. */
export type Addresses = readonly Interval[] | 'any';

/** Neighbouring addresses of a family that one rule decides on: the first that is about them. */
export interface AddressSegment {
  readonly from: bigint;
  readonly to: bigint;
  /** The rule's place in the deciding order; undefined where none is about them. */
  readonly rule: number | undefined;
}

interface End {
  readonly at: bigint;
  readonly rule: number;
  readonly opens: boolean;
}

/** All addresses of a family, ascending, by which of the rules decides on them; `about` has an entry a rule, in deciding order. */
export function partitionAddresses(about: readonly Addresses[], family: Family): readonly AddressSegment[] {
  const any = about.indexOf('any');
  const catchAll = any < 0 ? undefined : any;
  const ends: End[] = [];
  about.slice(0, catchAll).forEach((addresses, rule) => {
    if (addresses === 'any') return;
    for (const { from, to } of addresses)
      ends.push({ at: from, rule, opens: true }, { at: to + 1n, rule, opens: false });
  });
  ends.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const line: AddressSegment[] = [];
  const active = new LowestActive(about.length);
  let from = 0n;
  const stretchTo = (end: bigint): void => {
    if (end < from) return;
    const decider = active.first() ?? catchAll;
    const last = line.at(-1);
    if (last !== undefined && last.rule === decider) line[line.length - 1] = { ...last, to: end };
    else line.push({ from, to: end, rule: decider });
    from = end + 1n;
  };
  for (const { at, rule, opens } of ends) {
    stretchTo(at - 1n);
    active.change(rule, opens ? 1 : -1);
  }
  stretchTo(highestAddress(family));
  return line;
}

/** Addresses that two lines of one family each decide on by one rule. */
export interface SegmentPair {
  readonly from: bigint;
  readonly to: bigint;
  readonly one: number | undefined;
  readonly other: number | undefined;
}

/** Two lines laid over each other, ascending. */
export function* intersect(one: readonly AddressSegment[], other: readonly AddressSegment[]): Generator<SegmentPair> {
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [one[i], other[j]];
    if (a === undefined || b === undefined) return;
    const from = a.from > b.from ? a.from : b.from;
    const to = a.to < b.to ? a.to : b.to;
    yield { from, to, one: a.rule, other: b.rule };
    if (a.to === to) i += 1;
    if (b.to === to) j += 1;
  }
}

/** Numbers below a limit that come and go, and the lowest that is there: a heap from which what is gone is taken late. */
class LowestActive {
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
