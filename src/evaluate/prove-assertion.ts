import { FAMILIES, type Family } from '../model/address.ts';
import type { HostPolicy } from '../model/host.ts';
import type { Interval } from '../model/interval.ts';
import type { Packet } from '../model/packet.ts';
import type { Assertion } from '../model/policy.ts';
import type { Action, Direction, Rule } from '../model/rule.ts';
import { addressLine } from './address-line.ts';
import { type Box, type Cell, type Members, visitBoxes } from './boxes.ts';
import { type Grid, gridOf, intervalOfRows } from './grid.ts';
import { OutOfPatience, type Patience } from '../model/patience.ts';
import { addressesOf, type Decider, deciderAt, type Side, sideOf } from './sides.ts';
import type { TrafficClass } from './traffic-classes.ts';
import { placeOn, witnessOf } from './witness.ts';

/** A packet of a new flow of which a policy says the opposite of what is asserted. */
export interface Violation {
  /** The interface, or the glob of them, that judges it. */
  readonly interface: string;
  readonly decider: Decider;
  readonly witness: Packet;
}

/** Whether something is true of all packets that it is about. */
export type Proof =
  | { readonly kind: 'holds' }
  | { readonly kind: 'broken'; readonly violation: Violation }
  /** Nobody waited for it any longer. */
  | { readonly kind: 'unknown' };

/** Proves what is asserted of hosts of one policy, of what it says of them alone. */
export interface Prover {
  /**
   * For each of the assertions, whether it is true of the interfaces that `policy` names, with the first packet of which
   * it is not. Rules are judged, of groups and of management; built-in traffic passes whatever is asserted.
   */
  prove(policy: HostPolicy, assertions: readonly Assertion[]): readonly Proof[];
}

/** A rule of an assertion. */
interface Asked {
  readonly rule: Rule;
  readonly expected: Action;
  /** Whom it is about, without those of them that it says nothing of. */
  readonly addresses: readonly Interval[];
}

interface Found {
  readonly interval: Interval;
  readonly one: TrafficClass;
  readonly decider: Decider;
}

/** What was found of rules that judge together: nothing is found of what holds. */
type Answers = Map<Asked, Found | 'nothing' | 'unknown'>;

const DIRECTIONS: readonly Direction[] = ['inbound', 'outbound'];

/** A prover that has proved nothing. What rules judge together is looked at once, for all assertions and on all hosts. */
export function createProver(patience: Patience): Prover {
  const asked = new Map<Assertion, readonly Asked[]>();
  const answers = new Map<string, Answers>();
  const numbers = new Map<Rule, number>();
  const numberOf = (rule: Rule | undefined): number => {
    if (rule === undefined) return -1;
    const number = numbers.get(rule) ?? numbers.size;
    numbers.set(rule, number);
    return number;
  };
  const answersOf = (side: Side, family: Family, all: readonly Asked[]): Answers => {
    const key = `${family} ${side.rest.action} ${side.candidates.map(({ decider }) => numberOf(decider.rule)).join()}`;
    const known: Answers = answers.get(key) ?? new Map();
    answers.set(key, known);
    const open = all.filter((one) => !known.has(one));
    if (open.length > 0) for (const [one, answer] of lookAt(side, open, { family, patience })) known.set(one, answer);
    return known;
  };
  return {
    prove(policy, assertions) {
      const all = assertions.map((assertion) => {
        const known = asked.get(assertion) ?? askedBy(assertion, policy);
        asked.set(assertion, known);
        return known;
      });
      const proofs = assertions.map((): Proof => ({ kind: 'holds' }));
      for (const { pattern } of policy.bindings) {
        if (pattern === 'lo') continue;
        const answered = new Map<Asked, Found | 'unknown'>();
        for (const direction of DIRECTIONS) {
          for (const family of FAMILIES) {
            const own = all.flatMap((some, place) => (proofs[place]?.kind === 'broken' ? [] : some));
            const about = own.filter(({ rule }) => rule.origin.direction === direction && rule.family === family);
            if (about.length === 0) continue;
            const found = answersOf(sideOf(policy, pattern, { direction, family }), family, about);
            for (const one of about) {
              const answer = found.get(one) ?? 'nothing';
              if (answer !== 'nothing') answered.set(one, answer);
            }
          }
        }
        for (const [place, some] of all.entries()) {
          if (proofs[place]?.kind === 'broken') continue;
          const first = some.map((one) => ({ one, answer: answered.get(one) })).find(({ answer }) => isFound(answer));
          if (first !== undefined && isFound(first.answer))
            proofs[place] = { kind: 'broken', violation: violationOf(first.answer, first.one, { policy, pattern }) };
          else if (some.some((one) => answered.get(one) === 'unknown')) proofs[place] = { kind: 'unknown' };
        }
      }
      return proofs;
    },
  };
}

function isFound(answer: Found | 'unknown' | undefined): answer is Found {
  return typeof answer === 'object';
}

function askedBy({ expected, traffic, except }: Assertion, policy: HostPolicy): readonly Asked[] {
  return traffic.map((rule) => {
    const { family } = rule;
    const about = [...except, rule.remote].map((remote) => addressesOf(remote, family, policy));
    const addresses = addressLine(about, family)
      .filter(({ decider }) => decider === about.length - 1)
      .map(({ from, to }) => ({ family, from, to }));
    return { rule, expected, addresses };
  });
}

function violationOf(
  { interval, one, decider }: Found,
  { rule: { origin, family } }: Asked,
  { policy, pattern }: { readonly policy: HostPolicy; readonly pattern: string },
): Violation {
  const difference = { direction: origin.direction, family, traffic: [one], remotes: [interval] };
  return { interface: pattern, decider, witness: witnessOf(difference, placeOn(pattern, policy, family)) };
}

/** What of the asked is not so: the first packets of each. */
function lookAt(
  side: Side,
  asked: readonly Asked[],
  { family, patience }: { readonly family: Family; readonly patience: Patience },
): Answers {
  const { candidates } = side;
  const extents = [...candidates, ...asked.map(({ rule, addresses }) => ({ traffic: rule.traffic, addresses }))];
  let broken: FirstBroken | undefined;
  try {
    const grid = gridOf(extents, family, patience);
    const firsts = new FirstBroken(side, asked, grid);
    broken = firsts;
    const layers = [
      { areas: grid.areas.slice(0, candidates.length), upTo: 1 },
      {
        areas: grid.areas.slice(candidates.length),
        upTo: 'none',
        isAsked: (id: number, column: number, row: number) => firsts.canBeBefore(id, { column, row }),
      },
    ] as const;
    visitBoxes({ columns: grid.classes.length, rows: grid.starts.length, layers, patience }, firsts);
    return new Map(asked.map((one, id) => [one, firsts.of(id) ?? 'nothing']));
  } catch (error) {
    if (!(error instanceof OutOfPatience)) throw error;
    return new Map(asked.map((one, id) => [one, broken?.of(id) ?? 'unknown']));
  }
}

/** Goes through boxes, and keeps of each of the asked the first cell that is judged otherwise. */
class FirstBroken {
  readonly #side: Side;
  readonly #asked: readonly Asked[];
  readonly #grid: Grid;
  /** Where the first is: ascending by column, then by row. */
  readonly #firsts: Float64Array;
  readonly #found: (Found | undefined)[] = [];

  constructor(side: Side, asked: readonly Asked[], grid: Grid) {
    this.#side = side;
    this.#asked = asked;
    this.#grid = grid;
    this.#firsts = new Float64Array(asked.length).fill(Number.POSITIVE_INFINITY);
  }

  of(id: number): Found | undefined {
    return this.#found[id];
  }

  canBeBefore(id: number, cell: Cell): boolean {
    return this.#orderOf(cell) < (this.#firsts[id] ?? 0);
  }

  /** Where all that may decide do the same, it does not matter which of them does where. */
  enter(box: Box, [judges, asked]: readonly Members[]): boolean {
    if (judges === undefined || asked === undefined) return false;
    const { rest } = this.#side;
    const last = judges.length - 1;
    const action = last >= 0 && judges.isWhole(last) ? this.#deciderOf(judges, last).action : rest.action;
    for (let judge = 0; judge <= last; judge += 1) if (this.#deciderOf(judges, judge).action !== action) return true;
    this.leaf(box, [judges, asked]);
    return false;
  }

  leaf(_: Box, [judges, asked]: readonly Members[]): void {
    if (judges === undefined || asked === undefined) return;
    for (let member = 0; member < asked.length; member += 1) {
      const id = asked.id(member);
      const cell = asked.firstCell(member);
      const one = this.#grid.classes[cell.column];
      if (one === undefined || !this.canBeBefore(id, cell)) continue;
      const decider = this.#deciderIn(judges, cell);
      if (decider.action === this.#asked[id]?.expected) continue;
      this.#firsts[id] = this.#orderOf(cell);
      this.#found[id] = { interval: intervalOfRows(this.#grid, cell.row, cell.row), one, decider };
    }
  }

  #deciderOf(judges: Members, judge: number): Decider {
    return deciderAt(this.#side, judges.id(judge));
  }

  #deciderIn(judges: Members, cell: Cell): Decider {
    for (let judge = 0; judge < judges.length; judge += 1)
      if (judges.holds(judge, cell)) return this.#deciderOf(judges, judge);
    return this.#side.rest;
  }

  #orderOf({ column, row }: Cell): number {
    return column * this.#grid.starts.length + row;
  }
}
