import type { Family } from '#core/model/net/address.ts';
import { highestAddress } from '#core/model/net/address.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { Rule } from '#core/model/policy/rule.ts';
import type { RuleVerdicts } from './logging-and-counters.ts';

/** What a rule says of remote addresses: those of an interval, those in sets, or all of them. */
export type RemoteClause =
  | { readonly kind: 'any'; readonly rule: Rule }
  | { readonly kind: 'interval'; readonly rule: Rule; readonly interval: Interval }
  | { readonly kind: 'sets'; readonly rule: Rule; readonly sets: readonly string[] };

type Says = ReturnType<RuleVerdicts['says']>;

/** Clauses one after the other that say the same: among them the order does not matter. */
export interface Stratum {
  readonly says: Says;
  /** Sets whose addresses it decides on; what they hold is not known when rules are made. */
  readonly sets: readonly { readonly set: string; readonly rule: Rule }[];
}

/** Addresses that one clause is the first to name. */
export interface ResolvedInterval {
  readonly interval: Interval;
  readonly rule: Rule;
  /** The stratum that decides, unless a set of an earlier one holds the address. */
  readonly stratum: number;
}

/** Ordered clauses as what has to be looked up: disjoint intervals, strata with their sets, and what holds for the rest. */
export interface Resolution {
  readonly intervals: readonly ResolvedInterval[];
  readonly strata: readonly Stratum[];
  /** The rule that decides where nothing else does; undefined is no rule. */
  readonly rest: Rule | undefined;
}

/** Resolves clauses of one family, in deciding order, so that overlaps cost nothing when packets come. */
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
      // What a set holds was decided on where it was named first.
      for (const set of clause.sets) {
        if (asked.has(set)) continue;
        asked.add(set);
        strata[stratum]?.sets.push({ set, rule: clause.rule });
      }
    }
  }
  const rest = end < 0 ? undefined : clauses[end]?.rule;
  const saidAtLast = rest === undefined ? undefined : says(rest);
  return { intervals: paint(literals, family).filter((one) => !saidByRest(one, saidAtLast, strata)), strata, rest };
}

/** Whether packets that pass an interval by end alike: what decides on the rest says the same, and no set says otherwise. */
function saidByRest({ stratum }: ResolvedInterval, rest: Says | undefined, strata: readonly Stratum[]): boolean {
  const own = strata[stratum]?.says;
  if (rest !== own) return false;
  return !strata.slice(stratum).some(({ says, sets }) => says !== own && sets.length > 0);
}

/** Disjoint intervals in which each address belongs to the first literal that holds it. */
function paint(literals: readonly ResolvedInterval[], family: Family): ResolvedInterval[] {
  if (literals.length < 2) return [...literals];
  // Cells are the stretches between neighbouring ends; each is painted once, by the first literal that reaches it.
  const ends = literals.flatMap(({ interval }) => [interval.from, interval.to + 1n]);
  // IPv4's ends are exact as numbers, which sort and hash in a fraction of the time.
  const sorted = family === 'ipv4' ? distinctNumbers(ends) : [...new Set(ends)].toSorted(ascending);
  const starts = sorted.map(BigInt);
  const cells = new Map<number | bigint, number>(sorted.map((start, cell) => [start, cell]));
  const cellOf = (start: bigint): number => cells.get(family === 'ipv4' ? Number(start) : start) ?? starts.length;
  const painted: (ResolvedInterval | undefined)[] = starts.map(() => undefined);
  // INVARIANT: next[cell] is a cell at or behind `cell` with no unpainted one between; path halving keeps the walks short.
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

function distinctNumbers(values: readonly bigint[]): readonly number[] {
  const sorted = Float64Array.from(values, Number).sort();
  return Array.from(sorted.filter((value, i) => value !== sorted[i - 1]));
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
