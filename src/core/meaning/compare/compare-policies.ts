import type { AreasInBox, Box } from '#core/meaning/headerspace/boxes.ts';
import { type Area, type Grid, gridOf, intervalOfRows, trafficOf } from '#core/meaning/headerspace/grid.ts';
import { type MergedBox, mergeBoxes } from '#core/meaning/headerspace/merge-boxes.ts';
import type { PacketSet } from '#core/meaning/headerspace/packet-set.ts';
import {
  decisionAt,
  interfaceClasses,
  type RuleDecision,
  type RuleList,
  ruleListOf,
} from '#core/meaning/headerspace/rule-list.ts';
import { isAllTraffic } from '#core/meaning/headerspace/traffic-atoms.ts';
import { visitBoxes } from '#core/meaning/headerspace/visit-boxes.ts';
import { FAMILIES, type Family } from '#core/model/net/address.ts';
import { isWholeFamily } from '#core/model/net/interval.ts';
import type { HostPolicy } from '#core/model/policy/host.ts';
import { ENDLESS, OutOfPatience, type Patience } from '#core/model/policy/patience.ts';
import { type Action, DIRECTIONS } from '#core/model/policy/rule.ts';

/** Packets of new flows that two policies decide differently, all of them by the same two decisions. */
export interface Difference extends PacketSet {
  /** The interface, or the glob without what longer patterns name; undefined is every interface that neither policy names. */
  readonly interface: string | undefined;
  readonly before: RuleDecision;
  readonly after: RuleDecision;
}

/** How long a comparison may take, and what to do with packets that were not compared. */
export interface ComparisonLimits {
  readonly patience: Patience;
  /** Called for packets of which not all were compared. */
  readonly onLeftOut: (place: Pick<Difference, 'interface' | 'direction' | 'family'>) => void;
}

const UNLIMITED: ComparisonLimits = { patience: ENDLESS, onLeftOut: () => undefined };

/**
 * Finds exactly the packets of new flows that the rules of `before` and `after` decide differently (Batfish:
 * `compareFilters`). Built-in traffic passes whatever rules say, and is left out. Costs as much as the policies differ,
 * beside one pass over both.
 */
export function comparePolicies(
  before: HostPolicy,
  after: HostPolicy,
  { patience, onLeftOut }: ComparisonLimits = UNLIMITED,
): readonly Difference[] {
  return interfaceClasses(before, after).flatMap((named) =>
    DIRECTIONS.flatMap((direction) =>
      FAMILIES.flatMap((family) => {
        const place = { interface: named, direction, family };
        const listOf = (policy: HostPolicy): RuleList => ruleListOf(policy, named, { direction, family });
        try {
          const found = compareRuleLists(listOf(before), listOf(after), { family, patience });
          return found.map((difference) => ({ ...place, ...difference }));
        } catch (error) {
          if (!(error instanceof OutOfPatience)) throw error;
          onLeftOut(place);
          return [];
        }
      }),
    ),
  );
}

type ListDifference = Pick<Difference, 'before' | 'after' | 'traffic' | 'remotes'>;

function compareRuleLists(
  before: RuleList,
  after: RuleList,
  { family, patience }: { readonly family: Family; readonly patience: Patience },
): readonly ListDifference[] {
  const grid = gridOf([...before.rules, ...after.rules], family, patience);
  const count = before.rules.length;
  const [oldAreas, newAreas] = [grid.areas.slice(0, count), grid.areas.slice(count)];
  const differences = new DifferencesByDeciders(grid);
  const meanings = new Map<string, number>();
  const meaningsOf = ({ rules }: RuleList, areas: readonly Area[]): readonly number[] =>
    rules.map(({ decision }, id) => {
      const { columns, rows } = areas[id] ?? NOWHERE;
      const text = `${decision.action} ${textOf(columns)} ${textOf(rows)}`;
      const known = meanings.get(text) ?? meanings.size;
      meanings.set(text, known);
      return known;
    });
  const [ofBefore, ofAfter] = [meaningsOf(before, oldAreas), meaningsOf(after, newAreas)];
  const meansSame = (one: AreasInBox, other: AreasInBox): boolean => {
    if (one.length !== other.length) return false;
    for (let member = 0; member < one.length; member += 1)
      if (ofBefore[one.id(member)] !== ofAfter[other.id(member)]) return false;
    return before.otherwise.action === after.otherwise.action || (one.length > 0 && one.isWhole(one.length - 1));
  };
  const layers = [
    { areas: oldAreas, upTo: 1 },
    { areas: newAreas, upTo: 1 },
  ] as const;
  visitBoxes(
    { columns: grid.atoms.length, rows: grid.starts.length, layers, patience },
    {
      enter: (_, [one, other]) =>
        one !== undefined &&
        other !== undefined &&
        !meansSame(one, other) &&
        !(actionIn(before, one) !== undefined && actionIn(before, one) === actionIn(after, other)),
      leaf(box, [one, other]) {
        const [by, then] = [decisionAt(before, one?.first()), decisionAt(after, other?.first())];
        if (by.action !== then.action) differences.add(box, by, then);
      },
    },
  );
  return differences.all();
}

const NOWHERE: Area = { columns: new Int32Array(0), rows: new Int32Array(0) };

/** The action of all rules that may decide in a box; undefined if some allow and some deny. */
function actionIn({ rules, otherwise }: RuleList, members: AreasInBox): Action | undefined {
  const last = members.length - 1;
  const isDecided = last >= 0 && members.isWhole(last);
  const action = isDecided ? rules[members.id(last)]?.decision.action : otherwise.action;
  for (let member = 0; member <= last; member += 1)
    if (rules[members.id(member)]?.decision.action !== action) return undefined;
  return action;
}

const texts = new WeakMap<Int32Array, string>();

/** A text that is the same for equal ranges. */
function textOf(ranges: Int32Array): string {
  const known = texts.get(ranges) ?? ranges.join();
  texts.set(ranges, known);
  return known;
}

interface Deciders {
  readonly before: RuleDecision;
  readonly after: RuleDecision;
  readonly boxes: Box[];
}

/** Differences, grouped by the two decisions. */
class DifferencesByDeciders {
  readonly #grid: Grid;
  readonly #byDeciders = new Map<RuleDecision, Map<RuleDecision, Deciders>>();

  constructor(grid: Grid) {
    this.#grid = grid;
  }

  add(box: Box, before: RuleDecision, after: RuleDecision): void {
    const ofBefore = this.#byDeciders.get(before) ?? new Map<RuleDecision, Deciders>();
    this.#byDeciders.set(before, ofBefore);
    const entry = ofBefore.get(after) ?? { before, after, boxes: [] };
    ofBefore.set(after, entry);
    entry.boxes.push(box);
  }

  /** Ordered by the first traffic atom, then by the first address. */
  all(): readonly ListDifference[] {
    const all = [...this.#byDeciders.values()].flatMap((ofBefore) => [...ofBefore.values()]);
    return all
      .map(({ before, after, boxes }) => ({ before, after, parts: mergeBoxes(boxes) }))
      .toSorted((a, b) => beginningOf(a.parts) - beginningOf(b.parts) || topOf(a.parts) - topOf(b.parts))
      .flatMap(({ before, after, parts }) =>
        parts.map(({ columns, rows }): ListDifference => {
          const traffic = trafficOf(this.#grid, columns);
          const remotes = rows.map(([first, last]) => intervalOfRows(this.#grid, first, last));
          return {
            before,
            after,
            traffic: isAllTraffic(traffic) ? 'all' : traffic,
            remotes: remotes.every(isWholeFamily) ? 'any' : remotes,
          };
        }),
      );
  }
}

function beginningOf([first]: readonly MergedBox[]): number {
  return first?.columns[0]?.[0] ?? 0;
}

function topOf([first]: readonly MergedBox[]): number {
  return first?.rows[0]?.[0] ?? 0;
}
