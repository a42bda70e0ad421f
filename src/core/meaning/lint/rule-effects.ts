import type { AreasInBox, Box } from '#core/meaning/headerspace/boxes.ts';
import { type Grid, gridOf, intervalOfRows } from '#core/meaning/headerspace/grid.ts';
import type { TrafficAtom } from '#core/meaning/headerspace/traffic-atoms.ts';
import { visitBoxes } from '#core/meaning/headerspace/visit-boxes.ts';
import type { Interval } from '#core/model/net/interval.ts';
import { OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import type { Rule, RuleOrigin } from '#core/model/policy/rule.ts';
import type { LintRule, LintScope } from './lint-scope.ts';
import { decidersAmong, type PresentRule } from './possible-deciders.ts';

/** Packets that a rule decides. */
export interface PacketExample {
  readonly scope: LintScope;
  readonly atom: TrafficAtom;
  readonly interval: Interval;
}

/** What a rule of the policy does, over all scopes that it is in and both families. */
export interface RuleEffect {
  readonly origin: RuleOrigin;
  /** The scopes that the rule is in, and its form there; a rule for both families is in two of an interface. */
  readonly occurrences: readonly { readonly scope: LintScope; readonly lintRule: LintRule }[];
  /** Packets that the rule decides; undefined if it never decides. */
  readonly decides: PacketExample | undefined;
  /** Packets that get another verdict without the rule; undefined if none does. */
  readonly changes: PacketExample | undefined;
  /** A rule of its group that would decide differently, where the default priority alone makes this one decide; see `implicit-priority`. */
  readonly rival: Rival | undefined;
  /** The rules that would decide in its place, if no packet gets another verdict without it. */
  readonly supports: ReadonlySet<Rule | undefined>;
}

/** A rule that would decide differently in another's place, and packets that show it. */
export interface Rival {
  readonly rule: Rule;
  readonly example: PacketExample;
}

/** The effects that were found, and the scopes where patience ended first: rules in these have no effect listed. */
export interface Effects {
  /** In the order of the scopes. */
  readonly effects: readonly RuleEffect[];
  readonly leftOut: readonly LintScope[];
}

interface OpenEffect {
  readonly origin: RuleOrigin;
  readonly occurrences: { readonly scope: LintScope; readonly lintRule: LintRule }[];
  decides: PacketExample | undefined;
  changes: PacketExample | undefined;
  rival: Rival | undefined;
  readonly supports: Set<Rule | undefined>;
}

/** Finds what each rule does, while `patience` lasts (Batfish: `filterLineReachability`). */
export function effectsOf(scopes: readonly LintScope[], patience: Patience): Effects {
  const effects = new Map<RuleOrigin, OpenEffect>();
  const effectOf = ({ origin }: Rule): OpenEffect => {
    const known = effects.get(origin) ?? {
      origin,
      occurrences: [],
      decides: undefined,
      changes: undefined,
      rival: undefined,
      supports: new Set(),
    };
    effects.set(origin, known);
    return known;
  };
  const leftOut: LintScope[] = [];
  for (const scope of scopes) {
    for (const lintRule of scope.rules) effectOf(lintRule.rule).occurrences.push({ scope, lintRule });
    const found = decisionsIn(scope, patience);
    if (found === undefined) leftOut.push(scope);
    for (const { rule, decides, changes, rival, supports } of found ?? []) {
      const effect = effectOf(rule);
      effect.decides ??= decides;
      effect.changes ??= changes;
      effect.rival ??= rival;
      for (const other of supports) effect.supports.add(other);
    }
  }
  const isWhole = ({ occurrences }: OpenEffect): boolean => occurrences.every(({ scope }) => !leftOut.includes(scope));
  const all = [...effects.values()];
  return { effects: leftOut.length === 0 ? all : all.filter(isWhole), leftOut };
}

/** What a rule does in one scope. */
interface Decisions extends Pick<RuleEffect, 'decides' | 'changes' | 'rival' | 'supports'> {
  readonly rule: Rule;
}

/** Every rule that decides, by its first packets; undefined if patience ended first. */
function decisionsIn(scope: LintScope, patience: Patience): readonly Decisions[] | undefined {
  const { rules, family } = scope;
  try {
    const extents = rules.map(({ rule, certain }) => ({ traffic: rule.traffic, addresses: certain }));
    const grid = gridOf(extents, family, patience);
    const found = new FoundDecisions(scope, grid);
    const isEverywhere = (id: number): boolean => rules[id]?.possible === 'any';
    // Behind two rules that match every address nothing decides, not even without one of the two.
    const layers = [{ areas: grid.areas, upTo: 2, isEverywhere }] as const;
    visitBoxes({ columns: grid.atoms.length, rows: grid.starts.length, layers, patience }, found);
    return found.all();
  } catch (error) {
    if (!(error instanceof OutOfPatience)) throw error;
    return undefined;
  }
}

/** A box of packets, and its order: ascending by column, then by row. */
interface BoxPosition {
  readonly order: number;
  readonly box: Box;
}

interface OpenDecisions {
  readonly rule: Rule;
  decides: BoxPosition;
  changes: BoxPosition | undefined;
  rival: (BoxPosition & { readonly rule: Rule }) | undefined;
  /** Each with the order of the first box that it would decide; not kept once the rule is known to change a verdict. */
  readonly supports: Map<number, number>;
}

class FoundDecisions {
  readonly #scope: LintScope;
  readonly #grid: Grid;
  readonly #byRule = new Map<number, OpenDecisions>();

  constructor(scope: LintScope, grid: Grid) {
    this.#scope = scope;
    this.#grid = grid;
  }

  enter(): boolean {
    return true;
  }

  leaf(box: Box, [members]: readonly AreasInBox[]): void {
    if (members === undefined || members.length === 0) return;
    const { rules } = this.#scope;
    const present: PresentRule[] = [];
    for (let member = 0; member < members.length; member += 1) {
      const id = members.id(member);
      present.push({ id, isCertain: members.isWhole(member), group: rules[id]?.group });
    }
    const at = { order: box.left * this.#grid.starts.length + box.top, box };
    for (const { id, instead } of decidersAmong(present)) this.#note(id, instead, at);
  }

  #note(id: number, instead: readonly (number | undefined)[], at: BoxPosition): void {
    const { rules } = this.#scope;
    const rule = rules[id]?.rule;
    if (rule === undefined) return;
    const known = this.#byRule.get(id) ?? {
      rule,
      decides: at,
      changes: undefined,
      rival: undefined,
      supports: new Map<number, number>(),
    };
    this.#byRule.set(id, known);
    if (at.order < known.decides.order) known.decides = at;
    for (const place of instead) {
      const other = place === undefined ? undefined : rules[place]?.rule;
      const changes = (other?.action ?? 'deny') !== rule.action;
      if (changes) {
        if (known.changes === undefined || at.order < known.changes.order) known.changes = at;
        if (isRival(rule, other) && (known.rival === undefined || at.order < known.rival.order))
          known.rival = { ...at, rule: other };
      }
      if (known.changes !== undefined) known.supports.clear();
      else known.supports.set(place ?? -1, Math.min(at.order, known.supports.get(place ?? -1) ?? at.order));
    }
  }

  all(): readonly Decisions[] {
    return [...this.#byRule.values()]
      .toSorted((a, b) => a.decides.order - b.decides.order)
      .map(({ rule, decides, changes, rival, supports }) => ({
        rule,
        decides: this.#exampleAt(decides),
        changes: changes && this.#exampleAt(changes),
        rival: rival && { rule: rival.rule, example: this.#exampleAt(rival) },
        supports: new Set(
          [...supports].toSorted(([, a], [, b]) => a - b).map(([place]) => this.#scope.rules[place]?.rule),
        ),
      }));
  }

  #exampleAt({ box }: BoxPosition): PacketExample {
    const atom = this.#grid.atoms[box.left];
    if (atom === undefined) throw new Error('a box has a first column');
    return { scope: this.#scope, atom, interval: intervalOfRows(this.#grid, box.top, box.bottom) };
  }
}

/** Whether a rule decides before another of its group only by its default priority. */
function isRival(rule: Rule, other: Rule | undefined): other is Rule {
  return (
    !rule.priorityWritten &&
    other !== undefined &&
    other.origin.group === rule.origin.group &&
    other.priorityWritten &&
    other.priority > rule.priority
  );
}
