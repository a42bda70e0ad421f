import type { Interval } from '#core/model/net/interval.ts';
import type { ElementChange } from '#core/model/nft/element-change.ts';
import type { AddressMap, AddressSet } from '#core/model/nft/ruleset.ts';
import type { RenderedRuleset } from './render-objects.ts';
import { renderDeclaration } from './render-set.ts';

/** A text that is equal only for rulesets that are equal apart from the elements of sets that change by element. */
export function structureText({ objects, dynamic, base, chainSets }: RenderedRuleset): string {
  return [
    `judges ${chainSets.join(' ')}`,
    ...objects.map(({ kind, name, text }) => `${kind} ${name} ${text}`),
    ...dynamic.map((set) => `${set.name} ${renderDeclaration(set)}`),
    ...base.map(({ chain, lines }) => `${chain.name}\n${lines.map(({ text }) => text).join('\n')}`),
  ].join('\n');
}

/** A text that is equal for rulesets of one structure only if those elements are equal too: it contains their sums. */
export function elementsText({ dynamic, canonical }: RenderedRuleset): string {
  return dynamic.map((set) => `${set.name} ${setText(set, canonical)}`).join('\n');
}

function setText(set: AddressSet | AddressMap, canonical: (name: string) => string): string {
  if (set.kind === 'addresses') return sumText(sumOf(set.elements));
  const byTarget = new Map<string, Interval[]>();
  for (const { key, verdict } of set.elements) {
    const target = 'chain' in verdict ? canonical(verdict.chain) : verdict.kind;
    const keys = byTarget.get(target);
    if (keys === undefined) byTarget.set(target, [key]);
    else keys.push(key);
  }
  return [...byTarget].map(([target, keys]) => `${target} ${sumText(sumOf(keys))}`).join(' ');
}

/** Two sums of the mixed bits of all intervals, whatever their order, and their number. */
interface Sum {
  readonly count: number;
  readonly low: number;
  readonly high: number;
}

const sums = new WeakMap<readonly Interval[], Sum>();

/** Sums, not a digest of a text: for a million entries they cost a fraction, and are computed once for each list. */
function sumOf(intervals: readonly Interval[]): Sum {
  const existing = sums.get(intervals);
  if (existing !== undefined) return existing;
  let low = 0;
  let high = 0;
  for (const interval of intervals) {
    const [a, b] = mixed(interval);
    low = (low + a) >>> 0;
    high = (high + b) >>> 0;
  }
  const sum = { count: intervals.length, low, high };
  sums.set(intervals, sum);
  return sum;
}

/** Computes the sum of a list from the sum of the previous one and the difference between them. */
export function carrySum(
  before: readonly Interval[],
  after: readonly Interval[],
  { removed, added }: Pick<ElementChange, 'removed' | 'added'>,
): void {
  const { low, high } = sumOf(before);
  const minus = sumOf(removed.map(({ interval }) => interval));
  const plus = sumOf(added.map(({ interval }) => interval));
  sums.set(after, {
    count: after.length,
    low: (low - minus.low + plus.low) >>> 0,
    high: (high - minus.high + plus.high) >>> 0,
  });
}

function sumText({ count, low, high }: Sum): string {
  return `${count}:${low.toString(16)}:${high.toString(16)}`;
}

function mixed({ family, from, to }: Interval): readonly [number, number] {
  let a = family === 'ipv4' ? 0x9e3779b9 : 0x85ebca6b;
  let b = 0xc2b2ae35;
  const add = (word: number): void => {
    a = Math.imul(a ^ word, 0x85ebca6b);
    a ^= a >>> 13;
    b = Math.imul(b ^ Math.imul(word, 0xcc9e2d51), 0x1b873593);
    b = (b << 15) | (b >>> 17);
    b = (b + a) | 0;
  };
  if (family === 'ipv4') {
    add(Number(from));
    add(Number(to));
  } else {
    for (const value of [from, to])
      for (const shift of [96n, 64n, 32n, 0n]) add(Number((value >> shift) & 0xffffffffn));
  }
  a = Math.imul(a ^ (a >>> 16), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 15), 0x85ebca6b);
  return [(a ^ (a >>> 13)) >>> 0, (b ^ (b >>> 16)) >>> 0];
}
