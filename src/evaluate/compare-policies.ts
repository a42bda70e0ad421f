import { FAMILIES, type Family } from '../model/address.ts';
import type { HostPolicy } from '../model/host.ts';
import { type Interval, isWholeFamily } from '../model/interval.ts';
import type { Direction } from '../model/rule.ts';
import { overlay } from './address-line.ts';
import {
  type Candidate,
  type Decider,
  deciderAt,
  interfaceClasses,
  lineOf,
  type Side,
  sideOf,
  textOf,
  upToAny,
} from './sides.ts';
import { classMembers, isAllTraffic, joinClasses, type TrafficClass } from './traffic-classes.ts';

/** Packets of new flows that two policies judge otherwise, all of them by the same two deciders. */
export interface Difference {
  /** The interface, or the glob of interfaces that no longer pattern names; undefined is every one that neither policy names. */
  readonly interface: string | undefined;
  readonly direction: Direction;
  readonly family: Family;
  readonly before: Decider;
  readonly after: Decider;
  /** `all` is every protocol. */
  readonly traffic: readonly TrafficClass[] | 'all';
  /** Where inbound packets come from and outbound ones go to; disjoint and ascending; `any` is every address. */
  readonly remotes: readonly Interval[] | 'any';
}

const DIRECTIONS: readonly Direction[] = ['inbound', 'outbound'];

/**
 * The packets of new flows that the rules of `before` and `after` judge otherwise: exactly these. Built-in traffic
 * passes whatever rules say, and is left out of it. Costs what the policies differ in, beside a look at all of both.
 */
export function comparePolicies(before: HostPolicy, after: HostPolicy): readonly Difference[] {
  return interfaceClasses(before, after).flatMap((named) =>
    DIRECTIONS.flatMap((direction) =>
      FAMILIES.flatMap((family) => {
        const side = (policy: HostPolicy): Side => sideOf(policy, named, { direction, family });
        return compareSides(side(before), side(after), family).map((one) => ({
          interface: named,
          direction,
          family,
          ...one,
        }));
      }),
    ),
  );
}

type Told = Pick<Difference, 'before' | 'after' | 'traffic' | 'remotes'>;

function compareSides(before: Side, after: Side, family: Family): readonly Told[] {
  const traffics = [...before.candidates, ...after.candidates].map(({ traffic }) => traffic);
  const count = before.candidates.length;
  const found = new DifferencesByDeciders();
  // Most classes are judged like others: what was found for one holds for all of them.
  const known = new Map<string, readonly Piece[]>();
  const [idsBefore, idsAfter] = [new Map<Candidate, number>(), new Map<Candidate, number>()];
  before.candidates.forEach((one, id) => idsBefore.set(one, id));
  after.candidates.forEach((one, id) => idsAfter.set(one, id));
  for (const { one, members } of classMembers(traffics, family)) {
    const was = sideOfMembers(before, members, 0);
    const is = sideOfMembers(after, members, count);
    if (meansSame(was, is)) continue;
    const key = `${was.candidates.map((candidate) => idsBefore.get(candidate)).join()} ${is.candidates
      .map((candidate) => idsAfter.get(candidate))
      .join()}`;
    const pieces = known.get(key) ?? differingPieces(was, is, family);
    known.set(key, pieces);
    for (const piece of pieces) found.add(piece, one);
  }
  return found.all();
}

/** What of a side is about a class, the side's candidates being those from place `begin` on. */
function sideOfMembers({ candidates, rest }: Side, members: readonly number[], begin: number): Side {
  const about = members.flatMap((member) => candidates[member - begin] ?? []);
  return upToAny({ candidates: about, rest });
}

function meansSame(one: Side, other: Side): boolean {
  return (
    one.rest.action === other.rest.action &&
    one.candidates.length === other.candidates.length &&
    one.candidates.every(({ meaning }, i) => meaning === other.candidates[i]?.meaning)
  );
}

interface Piece {
  readonly interval: Interval;
  readonly before: Decider;
  readonly after: Decider;
}

function differingPieces(before: Side, after: Side, family: Family): readonly Piece[] {
  const pieces: Piece[] = [];
  for (const { from, to, one, other } of overlay(lineOf(before, family), lineOf(after, family))) {
    const [was, is] = [deciderAt(before, one), deciderAt(after, other)];
    if (was.action !== is.action) pieces.push({ interval: { family, from, to }, before: was, after: is });
  }
  return pieces;
}

interface Deciders {
  readonly before: Decider;
  readonly after: Decider;
  readonly byClass: Map<TrafficClass, Interval[]>;
}

/** Differences by the two that decide: a box for the classes that the same addresses are told of. */
class DifferencesByDeciders {
  readonly #byDeciders = new Map<string, Deciders>();
  readonly #ids = new Map<Decider, number>();

  add({ interval, before, after }: Piece, one: TrafficClass): void {
    const key = `${this.#idOf(before)} ${this.#idOf(after)}`;
    const entry = this.#byDeciders.get(key) ?? { before, after, byClass: new Map<TrafficClass, Interval[]>() };
    this.#byDeciders.set(key, entry);
    const intervals = entry.byClass.get(one) ?? [];
    entry.byClass.set(one, intervals);
    intervals.push(interval);
  }

  all(): readonly Told[] {
    return [...this.#byDeciders.values()].flatMap(({ before, after, byClass }) => {
      const boxes = new Map<string, { readonly classes: TrafficClass[]; readonly intervals: readonly Interval[] }>();
      for (const [one, pieces] of byClass) {
        const intervals = joinIntervals(pieces);
        const key = textOf(intervals);
        const box = boxes.get(key) ?? { classes: [], intervals };
        boxes.set(key, box);
        box.classes.push(one);
      }
      return [...boxes.values()].map(({ classes, intervals }): Told => {
        const joined = joinClasses(classes);
        return {
          before,
          after,
          traffic: isAllTraffic(joined) ? 'all' : joined,
          remotes: intervals.every(isWholeFamily) ? 'any' : intervals,
        };
      });
    });
  }

  #idOf(decider: Decider): number {
    const id = this.#ids.get(decider) ?? this.#ids.size;
    this.#ids.set(decider, id);
    return id;
  }
}

/** Ascending intervals, neighbouring ones as one. */
function joinIntervals(intervals: readonly Interval[]): readonly Interval[] {
  const joined: Interval[] = [];
  for (const next of intervals) {
    const last = joined.at(-1);
    if (last !== undefined && last.to + 1n === next.from) joined[joined.length - 1] = { ...last, to: next.to };
    else joined.push(next);
  }
  return joined;
}
