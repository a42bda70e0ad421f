import { type Family, highestAddress } from '../../model/address.ts';
import type { Interval } from '../../model/interval.ts';
import type { Rule, RuleOrigin } from '../../model/rule.ts';
import { classMembers, type TrafficClass } from '../traffic-classes.ts';
import type { LintCandidate, Place } from './place.ts';

/** Packets that a rule decides on, and who would if it did not. */
export interface Example {
  readonly place: Place;
  readonly one: TrafficClass;
  readonly interval: Interval;
  /** The rules one of which would, whoever is a member of what; undefined is no rule, which denies. */
  readonly instead: readonly (Rule | undefined)[];
}

/** What a rule of the policy does, over all places where it judges and both families. */
export interface RuleEffect {
  readonly origin: RuleOrigin;
  /** Where it judges, and its rule there; a rule of both families is there twice. */
  readonly judges: readonly { readonly place: Place; readonly candidate: LintCandidate }[];
  /** Undefined where it never decides. */
  readonly decides: Example | undefined;
  /** Undefined where without it every packet would be judged the same. */
  readonly changes: Example | undefined;
  /** Of the rules that decide otherwise where it did not, the first of its own group; see `implicit-priority`. */
  readonly rivals: ReadonlyMap<Rule, Example>;
  /** The rules that would decide in its place where it decides. */
  readonly supports: ReadonlySet<Rule | undefined>;
}

interface OpenEffect {
  readonly origin: RuleOrigin;
  readonly judges: { readonly place: Place; readonly candidate: LintCandidate }[];
  decides: Example | undefined;
  changes: Example | undefined;
  readonly rivals: Map<Rule, Example>;
  readonly supports: Set<Rule | undefined>;
}

/** What each rule does, in the order of the places. */
export function effectsOf(places: readonly Place[]): readonly RuleEffect[] {
  const effects = new Map<RuleOrigin, OpenEffect>();
  const effectOf = ({ origin }: Rule): OpenEffect => {
    const known = effects.get(origin);
    if (known !== undefined) return known;
    const made: OpenEffect = {
      origin,
      judges: [],
      decides: undefined,
      changes: undefined,
      rivals: new Map(),
      supports: new Set(),
    };
    effects.set(origin, made);
    return made;
  };
  for (const place of places) {
    for (const candidate of place.candidates) effectOf(candidate.rule).judges.push({ place, candidate });
    for (const { rule, example } of decisionsAt(place)) {
      const effect = effectOf(rule);
      effect.decides ??= example;
      for (const other of example.instead) {
        effect.supports.add(other);
        const isOther = (other?.action ?? 'deny') !== rule.action;
        if (!isOther) continue;
        effect.changes ??= example;
        if (other !== undefined && other.origin.group === rule.origin.group && !effect.rivals.has(other))
          effect.rivals.set(other, example);
      }
    }
  }
  return [...effects.values()];
}

interface RuleDecision {
  readonly rule: Rule;
  readonly example: Example;
}

/** Every rule that decides, and on what; packets that the same rules are about are told of once. */
function* decisionsAt(place: Place): Generator<RuleDecision> {
  const { candidates, family } = place;
  const seen = new Set<string>();
  const traffics = candidates.map(({ rule }) => rule.traffic);
  for (const { one, members } of classMembers(traffics, family)) {
    const about = upToSecondAny(members, candidates);
    const key = about.join();
    if (about.length === 0 || seen.has(key)) continue;
    seen.add(key);
    const list = about.flatMap((id) => candidates[id] ?? []);
    for (const { interval, decider, instead } of decisions(list, family)) {
      const example: Example = { place, one, interval, instead: instead.map((other) => other?.rule) };
      yield { rule: decider.rule, example };
    }
  }
}

/** Behind two rules that are about everybody nothing decides, not even if one of the two is left out. */
function upToSecondAny(ids: readonly number[], candidates: readonly LintCandidate[]): readonly number[] {
  const all = ids.filter((id) => candidates[id]?.certain === 'any');
  const last = all[1];
  return last === undefined ? ids : ids.slice(0, ids.indexOf(last) + 1);
}

interface Decision {
  readonly interval: Interval;
  readonly decider: LintCandidate;
  readonly instead: readonly (LintCandidate | undefined)[];
}

/** Whether a rule is about an address: not, if somebody unknown has it, or for certain. */
const ABOUT = { not: 0, possibly: 1, certainly: 2 } as const;

/** Each way in which rules of a list decide, told of for the first addresses that are decided on so. */
function* decisions(list: readonly LintCandidate[], family: Family): Generator<Decision> {
  const line = new RulesAlongLine(list);
  const told = new Set<string>();
  for (const { from, to } of line.stretches(family)) {
    for (const { at, instead } of line.deciders()) {
      const key = `${at} ${instead.join()}`;
      const decider = list[at];
      if (told.has(key) || decider === undefined) continue;
      told.add(key);
      yield { interval: { family, from, to }, decider, instead: instead.map((index) => list[index]) };
    }
  }
}

/** A rule in a list, and those one of which would decide in its place; -1 is no rule. */
interface Decider {
  readonly at: number;
  readonly instead: readonly number[];
}

/** Which rules of a list are about an address, as that goes through all of a family. */
class RulesAlongLine {
  readonly #list: readonly LintCandidate[];
  readonly #about: Uint8Array;
  readonly #active: ActiveSet;

  constructor(list: readonly LintCandidate[]) {
    this.#list = list;
    this.#about = new Uint8Array(list.length);
    this.#active = new ActiveSet(list.length);
  }

  /** Neighbouring addresses that the same rules are about, ascending. */
  *stretches(family: Family): Generator<{ readonly from: bigint; readonly to: bigint }> {
    const ends: { readonly at: bigint; readonly index: number; readonly state: number }[] = [];
    this.#list.forEach(({ certain, possible }, index) => {
      const rest = possible === 'any' ? ABOUT.possibly : ABOUT.not;
      this.#set(index, certain === 'any' ? ABOUT.certainly : rest);
      if (certain === 'any') return;
      for (const { from, to } of certain)
        ends.push({ at: from, index, state: ABOUT.certainly }, { at: to + 1n, index, state: rest });
    });
    // Where one interval of a rule ends and its next begins, the beginning comes last.
    ends.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : a.state - b.state));
    let from = 0n;
    for (const { at, index, state } of ends) {
      if (from < at) yield { from, to: at - 1n };
      from = at;
      this.#set(index, state);
    }
    if (from <= highestAddress(family)) yield { from, to: highestAddress(family) };
  }

  /** Those one of which decides on the addresses of the stretch. */
  deciders(): readonly Decider[] {
    const found: Decider[] = [];
    const groups = new Set<string>();
    for (let at = this.#active.next(0); at >= 0; at = this.#active.next(at + 1)) {
      const group = this.#list[at]?.group;
      const isCertain = this.#about[at] === ABOUT.certainly;
      // On members of this group a rule before has decided.
      if (!isCertain && group !== undefined && groups.has(group)) continue;
      found.push({ at, instead: this.#instead(at, groups) });
      if (isCertain) break;
      if (group !== undefined) groups.add(group);
    }
    return found;
  }

  #instead(decider: number, groups: ReadonlySet<string>): readonly number[] {
    const own = this.#list[decider]?.group;
    const found: number[] = [];
    for (let at = this.#active.next(decider + 1); at >= 0; at = this.#active.next(at + 1)) {
      const group = this.#list[at]?.group;
      const isCertain = this.#about[at] === ABOUT.certainly || (group !== undefined && group === own);
      if (!isCertain && group !== undefined && groups.has(group)) continue;
      found.push(at);
      if (isCertain) return found;
    }
    return [...found, -1];
  }

  #set(index: number, state: number): void {
    this.#about[index] = state;
    this.#active.set(index, state !== ABOUT.not);
  }
}

/** Numbers below a limit, and the next of them. */
class ActiveSet {
  readonly #words: Uint32Array;

  constructor(limit: number) {
    this.#words = new Uint32Array((limit + 31) >> 5);
  }

  set(number: number, isIn: boolean): void {
    const word = this.#words[number >> 5] ?? 0;
    const bit = 1 << (number & 31);
    this.#words[number >> 5] = isIn ? word | bit : word & ~bit;
  }

  /** The lowest that is at least `from`; -1 where there is none. */
  next(from: number): number {
    let index = from >> 5;
    let word = (this.#words[index] ?? 0) & (-1 << (from & 31));
    while (word === 0) {
      index += 1;
      if (index >= this.#words.length) return -1;
      word = this.#words[index] ?? 0;
    }
    return 32 * index + (31 - Math.clz32(word & -word));
  }
}
