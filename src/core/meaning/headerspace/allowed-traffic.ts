import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import type { Addresses } from './address-partition.ts';
import { type Grid, gridOf, rowsOf } from './grid.ts';

/** Columns of a passage, by number: 1 where traffic passes, 0 where it does not. */
export type AllowedColumns = Uint8Array;

/** A rule, and whom it is about. */
interface RuleAddresses {
  readonly rule: Rule;
  readonly addresses: Addresses;
}

/**
 * What rules of one direction and family let pass to or from somebody. The columns are the classes of traffic that the
 * rules tell apart; a rule is about somebody if it is about all of an interval of addresses.
 */
export class AllowedTraffic {
  readonly grid: Grid;
  readonly #judging: readonly RuleAddresses[];
  readonly #patience: Patience;
  /** For each column itself, and one behind the last: in `#next` a decided one points behind itself. */
  readonly #open: Int32Array;
  readonly #next: Int32Array;

  constructor(judging: readonly RuleAddresses[], family: Family, patience: Patience) {
    this.#judging = judging;
    this.#patience = patience;
    this.grid = gridOf(
      judging.map(({ rule, addresses }) => ({ traffic: rule.traffic, addresses })),
      family,
      patience,
    );
    this.#open = Int32Array.from({ length: this.grid.atoms.length + 1 }, (_, column) => column);
    this.#next = Int32Array.from(this.#open);
  }

  /** The rows of addresses that a rule names. */
  rowsOf(addresses: Addresses): Int32Array {
    return rowsOf(addresses, this.grid.starts);
  }

  /** What passes by the rules that `isAbout` holds for. */
  of(isAbout: (rule: Rule) => boolean): AllowedColumns {
    const ids = this.#judging.flatMap(({ rule }, id) => (isAbout(rule) ? [id] : []));
    return this.#paint(ids);
  }

  /** What passes by the rules that are about all of each interval, by their places, in any order. */
  *ofIntervals(intervals: readonly Interval[]): Generator<readonly [place: number, passing: AllowedColumns]> {
    const asked = intervals
      .flatMap((one, place) => {
        if (one.family !== this.grid.family) return [];
        const [first = 0, last = 0] = this.rowsOf([one]);
        return [{ place, first, last }];
      })
      .toSorted((a, b) => a.first - b.first);
    const beginning = this.grid.areas
      .flatMap(({ rows }, id) => pairsOf(rows).map(([first, last]) => ({ id, first, last })))
      .toSorted((a, b) => a.first - b.first);
    // Those that begin at the interval or before it and do not end before it, in deciding order.
    let present: typeof beginning = [];
    let begun = 0;
    for (const { place, first, last } of asked) {
      const stay = present.filter((one) => one.last >= first);
      const come: typeof beginning = [];
      for (let one = beginning[begun]; one !== undefined && one.first <= first; one = beginning[begun]) {
        if (one.last >= first) come.push(one);
        begun += 1;
      }
      present = come.length === 0 ? stay : [...stay, ...come].toSorted((a, b) => a.id - b.id);
      this.#patience.spend(present.length / 10);
      yield [place, this.#paint(idsAbout(present, last))];
    }
  }

  /** Has the first of the rules decide on each column. */
  #paint(ids: Iterable<number>): AllowedColumns {
    const columns = this.grid.atoms.length;
    const passing = new Uint8Array(columns);
    this.#next.set(this.#open);
    let left = columns;
    let steps = columns / 20;
    for (const id of ids) {
      const ranges = this.grid.areas[id]?.columns ?? [];
      const passes = this.#judging[id]?.rule.action === 'allow' ? 1 : 0;
      steps += ranges.length;
      for (let range = 0; range < ranges.length; range += 2) {
        const last = ranges[range + 1] ?? 0;
        for (let column = this.#openFrom(ranges[range] ?? 0); column <= last; column = this.#openFrom(column + 1)) {
          passing[column] = passes;
          this.#next[column] = column + 1;
          left -= 1;
        }
      }
      if (left === 0) break;
    }
    this.#patience.spend(steps);
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

/** Those of the present that go on to a row at least. */
function* idsAbout(present: readonly { readonly id: number; readonly last: number }[], row: number): Generator<number> {
  for (const { id, last } of present) if (last >= row) yield id;
}

function pairsOf(numbers: Int32Array): readonly (readonly [number, number])[] {
  return Array.from({ length: numbers.length >> 1 }, (_, i) => [numbers[2 * i] ?? 0, numbers[2 * i + 1] ?? 0] as const);
}
