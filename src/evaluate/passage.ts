import type { Family } from '../model/address.ts';
import type { Interval } from '../model/interval.ts';
import type { Patience } from '../model/patience.ts';
import type { Rule } from '../model/rule.ts';
import type { Addresses } from './address-line.ts';
import { type Grid, gridOf, rowsOf } from './grid.ts';

/** Columns of a passage, by number: 1 where traffic passes, 0 where it does not. */
export type Passing = Uint8Array;

/** A rule, and whom it is about. */
interface Judging {
  readonly rule: Rule;
  readonly addresses: Addresses;
}

/**
 * What rules of one direction and family let pass to or from somebody. The columns are the classes of traffic that the
 * rules tell apart; a rule is about somebody if it is about all of an interval of addresses.
 */
export class Passage {
  readonly grid: Grid;
  readonly #judging: readonly Judging[];
  readonly #patience: Patience;
  /** For each column itself, and one behind the last: in `#next` a decided one points behind itself. */
  readonly #open: Int32Array;
  readonly #next: Int32Array;

  constructor(judging: readonly Judging[], family: Family, patience: Patience) {
    this.#judging = judging;
    this.#patience = patience;
    this.grid = gridOf(
      judging.map(({ rule, addresses }) => ({ traffic: rule.traffic, addresses })),
      family,
      patience,
    );
    this.#open = Int32Array.from({ length: this.grid.classes.length + 1 }, (_, column) => column);
    this.#next = Int32Array.from(this.#open);
  }

  /** The rows of addresses that a rule names. */
  rowsOf(addresses: Addresses): Int32Array {
    return rowsOf(addresses, this.grid.starts);
  }

  /** What passes by the rules that `isAbout` holds for. */
  of(isAbout: (rule: Rule) => boolean): Passing {
    const ids = this.#judging.flatMap(({ rule }, id) => (isAbout(rule) ? [id] : []));
    return this.#paint(ids);
  }

  /** What passes by the rules that are about all of each interval, by their places, in any order. */
  *ofIntervals(intervals: readonly Interval[]): Generator<readonly [place: number, passing: Passing]> {
    const { family } = this.grid;
    const asked = [...intervals.entries()]
      .filter(([, one]) => one.family === family)
      .toSorted(([, { from: a }], [, { from: b }]) => (a < b ? -1 : a > b ? 1 : 0));
    const everywhere: number[] = [];
    const entries: { readonly id: number; readonly from: bigint; readonly to: bigint }[] = [];
    for (const [id, { addresses }] of this.#judging.entries()) {
      if (addresses === 'any') everywhere.push(id);
      else for (const { from, to } of addresses) entries.push({ id, from, to });
    }
    entries.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
    // Entries that begin at the interval or before it, without those that end before it.
    let begun = 0;
    let active: typeof entries = [];
    for (const [place, { from, to }] of asked) {
      for (let entry = entries[begun]; entry !== undefined && entry.from <= from; entry = entries[begun]) {
        active.push(entry);
        begun += 1;
      }
      active = active.filter((entry) => entry.to >= from);
      this.#patience.spend(active.length + everywhere.length);
      const ids = active.filter((entry) => entry.to >= to).map(({ id }) => id);
      yield [place, this.#paint([...everywhere, ...ids].toSorted((a, b) => a - b))];
    }
  }

  /** Has the first of the rules decide on each column. */
  #paint(ids: readonly number[]): Passing {
    const columns = this.grid.classes.length;
    const passing = new Uint8Array(columns);
    this.#next.set(this.#open);
    let left = columns;
    for (const id of ids) {
      if (left === 0) break;
      const ranges = this.grid.areas[id]?.columns ?? [];
      const passes = this.#judging[id]?.rule.action === 'allow' ? 1 : 0;
      for (let range = 0; range < ranges.length; range += 2) {
        const last = ranges[range + 1] ?? 0;
        for (let column = this.#openFrom(ranges[range] ?? 0); column <= last; column = this.#openFrom(column + 1)) {
          passing[column] = passes;
          this.#next[column] = column + 1;
          left -= 1;
        }
      }
    }
    this.#patience.spend(columns / 20 + ids.length);
    return passing;
  }

  /** The first column from this one on that no rule has decided on. */
  #openFrom(column: number): number {
    const next = this.#next;
    let end = column;
    while ((next[end] ?? end) !== end) end = next[end] ?? end;
    // What was gone through is not gone through again.
    for (let at = column; at !== end; ) {
      const behind = next[at] ?? end;
      next[at] = end;
      at = behind;
    }
    return end;
  }
}
