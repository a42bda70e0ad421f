import type { Family } from '#core/model/net/address.ts';
import { highestAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { lowerBound } from '#core/model/net/lower-bound.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import type { RuleVerdicts } from './logging-and-counters.ts';

/** The remote addresses that a rule matches: those of an interval, those in sets, or all. */
export type RemoteClause =
  | { readonly kind: 'any'; readonly rule: Rule }
  | { readonly kind: 'interval'; readonly rule: Rule; readonly interval: Interval }
  | { readonly kind: 'sets'; readonly rule: Rule; readonly sets: readonly string[] };

type Says = ReturnType<RuleVerdicts['says']>;

/** Consecutive clauses with the same verdict: their order does not matter. */
export interface Stratum {
  readonly says: Says;
  /** Sets whose addresses it decides on; their content is unknown at compile time. */
  readonly sets: readonly { readonly set: string; readonly rule: Rule }[];
}

/** Addresses that one clause is the first to match. */
export interface ResolvedInterval {
  readonly interval: Interval;
  readonly rule: Rule;
  /** The stratum that decides, unless a set of an earlier one has the address. */
  readonly stratum: number;
}

/** Ordered clauses as lookups: disjoint intervals, strata with their sets, and the rule for all other addresses. */
export interface Resolution {
  readonly intervals: readonly ResolvedInterval[];
  readonly strata: readonly Stratum[];
  /** The rule that decides where nothing else does; undefined if there is none. */
  readonly rest: Rule | undefined;
}

/** Resolves the overlaps of clauses, which are of one family and in deciding order, so that packets do not pay for them. */
export function resolveAddresses(
  clauses: readonly RemoteClause[],
  family: Family,
  { says }: Pick<RuleVerdicts, 'says'>,
): Resolution {
  const end = clauses.findIndex(({ kind }) => kind === 'any');
  const reachable = end < 0 ? clauses : clauses.slice(0, end);
  const strata: { says: Says; sets: { set: string; rule: Rule }[] }[] = [];
  const literals: ResolvedInterval[] = [];
  const asked = new Set<string>();
  for (const clause of reachable) {
    const said = says(clause.rule);
    if (strata.at(-1)?.says !== said) strata.push({ says: said, sets: [] });
    const stratum = strata.length - 1;
    if (clause.kind === 'interval') literals.push({ interval: clause.interval, rule: clause.rule, stratum });
    if (clause.kind === 'sets') {
      // The first clause that names a set decides on its addresses.
      for (const set of clause.sets) {
        if (asked.has(set)) continue;
        asked.add(set);
        strata[stratum]?.sets.push({ set, rule: clause.rule });
      }
    }
  }
  const rest = end < 0 ? undefined : clauses[end]?.rule;
  const saidByRest = rest === undefined ? undefined : says(rest);
  const intervals = paint(literals, family).filter((interval) => !isRedundant(interval, saidByRest, strata));
  return { intervals, strata, rest };
}

/** Whether packets end alike without the interval: the rule for the rest says the same, and no set in between differs. */
function isRedundant({ stratum }: ResolvedInterval, rest: Says | undefined, strata: readonly Stratum[]): boolean {
  const saidByInterval = strata[stratum]?.says;
  if (rest !== saidByInterval) return false;
  return !strata.slice(stratum).some(({ says, sets }) => says !== saidByInterval && sets.length > 0);
}

/** Disjoint intervals, each with the first literal that contains it. */
function paint(literals: readonly ResolvedInterval[], family: Family): ResolvedInterval[] {
  if (literals.length < 2) return [...literals];
  // A cell lies between neighbouring ends; the first literal that reaches it paints it.
  const ends = literals.flatMap(({ interval }) => [interval.from, interval.to + 1n]);
  const { starts, cellOf } = family === 'ipv4' ? ipv4Cells(ends) : ipv6Cells(ends);
  const painted: (ResolvedInterval | undefined)[] = starts.map(() => undefined);
  // INVARIANT: no cell between `cell` and next[cell] is unpainted; path halving keeps the walks short.
  const next = starts.map((_, cell) => cell);
  const firstUnpainted = (from: number): number => {
    let cell = from;
    while (cell < starts.length && next[cell] !== cell) {
      const further = next[cell] ?? starts.length;
      next[cell] = next[further] ?? further;
      cell = further;
    }
    return cell;
  };
  for (const literal of literals) {
    const last = cellOf(literal.interval.to + 1n);
    for (let cell = firstUnpainted(cellOf(literal.interval.from)); cell < last; cell = firstUnpainted(cell)) {
      painted[cell] = literal;
      next[cell] = cell + 1;
    }
  }
  const resolved: ResolvedInterval[] = [];
  painted.forEach((literal, cell) => {
    const from = starts[cell];
    if (literal === undefined || from === undefined) return;
    const to = (starts[cell + 1] ?? highestAddress(family) + 1n) - 1n;
    const before = resolved.at(-1);
    if (before?.stratum === literal.stratum && before.interval.to + 1n === from) {
      resolved[resolved.length - 1] = { ...before, interval: { family, from: before.interval.from, to } };
    } else if (literal.interval.from === from && literal.interval.to === to) {
      resolved.push(literal);
    } else {
      resolved.push({ ...literal, interval: { family, from, to } });
    }
  });
  return resolved;
}

/** The cells between some ends, ascending. */
interface Cells {
  readonly starts: readonly bigint[];
  /** The cell that begins at one of the ends. */
  readonly cellOf: (start: bigint) => number;
}

/** IPv4's ends are exact as numbers, which sort and hash in a fraction of the time of bigints. */
function ipv4Cells(ends: readonly bigint[]): Cells {
  const sorted = Float64Array.from(ends, Number).sort();
  const starts = Array.from(sorted.filter((value, i) => value !== sorted[i - 1]));
  const cells = new Map(starts.map((start, cell) => [start, cell]));
  return { starts: starts.map(BigInt), cellOf: (start) => cells.get(Number(start)) ?? starts.length };
}

/** Searched rather than hashed: V8 hashes only the low 64 bits of a bigint, which networks of one length share. */
function ipv6Cells(ends: readonly bigint[]): Cells {
  const sorted = ends.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const starts = sorted.filter((value, i) => value !== sorted[i - 1]);
  return { starts, cellOf: (start) => lowerBound(starts.length, (cell) => (starts[cell] ?? 0n) < start) };
}
