import type { Family } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { Patience } from '#core/model/policy/patience.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import type { Addresses } from './address-partition.ts';
import { type Grid, gridOf, rowsOf } from './grid.ts';

/** For each column of a grid: 1 if its traffic is allowed, 0 if it is denied. */
export type AllowedColumns = Uint8Array;

/** A rule, and the addresses that its remote stands for. */
interface RuleAddresses {
  readonly rule: Rule;
  readonly addresses: Addresses;
}

/**
 * The traffic that the rules of one direction and family allow for some remote end. Columns are the traffic atoms that
 * the rules tell apart; a rule applies to a remote end if it matches all of its addresses.
 */
export class AllowedTraffic {
  readonly grid: Grid;
  readonly #rules: readonly RuleAddresses[];
  readonly #patience: Patience;
  /** Each column and one behind the last, pointing to themselves; in `#next` a decided column points behind itself. */
  readonly #open: Int32Array;
  readonly #next: Int32Array;

  constructor(rules: readonly RuleAddresses[], family: Family, patience: Patience) {
    this.#rules = rules;
    this.#patience = patience;
    this.grid = gridOf(
      rules.map(({ rule, addresses }) => ({ traffic: rule.traffic, addresses })),
      family,
      patience,
    );
    this.#open = Int32Array.from({ length: this.grid.atoms.length + 1 }, (_, column) => column);
    this.#next = Int32Array.from(this.#open);
  }

  /** The rows of the grid that hold addresses which rules name. */
  rowsOf(addresses: Addresses): Int32Array {
    return rowsOf(addresses, this.grid.starts);
  }

  /** The traffic allowed by the rules for which `applies` holds. */
  of(applies: (rule: Rule) => boolean): AllowedColumns {
    const ids = this.#rules.flatMap(({ rule }, id) => (applies(rule) ? [id] : []));
    return this.#paint(ids);
  }

  /** For each interval of the grid's family, by index and in any order, the traffic allowed by the rules that match all of it. */
  *ofIntervals(intervals: readonly Interval[]): Generator<readonly [index: number, allowed: AllowedColumns]> {
    const asked = intervals
      .flatMap((interval, index) => {
        if (interval.family !== this.grid.family) return [];
        const [first = 0, last = 0] = this.rowsOf([interval]);
        return [{ index, first, last }];
      })
      .toSorted((a, b) => a.first - b.first);
    const beginning = this.grid.areas
      .flatMap(({ rows }, id) => pairsOf(rows).map(([first, last]) => ({ id, first, last })))
      .toSorted((a, b) => a.first - b.first);
    // Row ranges that begin at or before the interval and do not end before it, in deciding order.
    let present: typeof beginning = [];
    let begun = 0;
    for (const { index, first, last } of asked) {
      const stay = present.filter((range) => range.last >= first);
      const come: typeof beginning = [];
      for (let range = beginning[begun]; range !== undefined && range.first <= first; range = beginning[begun]) {
        if (range.last >= first) come.push(range);
        begun += 1;
      }
      present = come.length === 0 ? stay : [...stay, ...come].toSorted((a, b) => a.id - b.id);
      this.#patience.spend(present.length / 10);
      yield [index, this.#paint(idsCovering(present, last))];
    }
  }

  /** Lets the first rule that matches each column decide it. */
  #paint(ids: Iterable<number>): AllowedColumns {
    const columns = this.grid.atoms.length;
    const allowed = new Uint8Array(columns);
    this.#next.set(this.#open);
    let left = columns;
    let steps = columns / 20;
    for (const id of ids) {
      const ranges = this.grid.areas[id]?.columns ?? [];
      const value = this.#rules[id]?.rule.action === 'allow' ? 1 : 0;
      steps += ranges.length;
      for (let range = 0; range < ranges.length; range += 2) {
        const last = ranges[range + 1] ?? 0;
        for (let column = this.#openFrom(ranges[range] ?? 0); column <= last; column = this.#openFrom(column + 1)) {
          allowed[column] = value;
          this.#next[column] = column + 1;
          left -= 1;
        }
      }
      if (left === 0) break;
    }
    this.#patience.spend(steps);
    return allowed;
  }

  /** The first column from this one on that no rule has decided yet. */
  #openFrom(column: number): number {
    const next = this.#next;
    let end = column;
    while ((next[end] ?? end) !== end) end = next[end] ?? end;
    // Shortens the path for the next search, as in union-find.
    for (let at = column; at !== end; ) {
      const behind = next[at] ?? end;
      next[at] = end;
      at = behind;
    }
    return end;
  }
}

/** The rules whose range of rows reaches `row` at least. */
function* idsCovering(
  present: readonly { readonly id: number; readonly last: number }[],
  row: number,
): Generator<number> {
  for (const { id, last } of present) if (last >= row) yield id;
}

function pairsOf(numbers: Int32Array): readonly (readonly [number, number])[] {
  return Array.from({ length: numbers.length >> 1 }, (_, i) => [numbers[2 * i] ?? 0, numbers[2 * i + 1] ?? 0] as const);
}
