import type { Interval } from '#core/model/net/interval.ts';
import type { Element, ElementChange } from '#core/model/nft/element-change.ts';
import type { AddressMap, AddressSet, MapElement, SimpleVerdict } from '#core/model/nft/ruleset.ts';

type RulesetElement = Interval | MapElement<Interval>;

/** The kernel name of a chain of the ruleset. */
type KernelChain = (name: string) => string;

/** A set or map as it is in the kernel or should be. */
export interface SetContent {
  readonly set: AddressSet | AddressMap;
  readonly chain: KernelChain;
}

/**
 * The elements to remove from a set and to add to it; undefined if there are none. What the two sets share at their
 * beginning and end costs a comparison of references, since reading keeps elements that did not change; only what lies
 * between is compared in full.
 */
export function elementChange(kernel: string, applied: SetContent, wanted: SetContent): ElementChange | undefined {
  const before: readonly RulesetElement[] = applied.set.elements;
  const after: readonly RulesetElement[] = wanted.set.elements;
  if (before === after && applied.set.kind === 'addresses') return undefined;
  const same = (a: RulesetElement | undefined, b: RulesetElement | undefined): boolean =>
    sameElement(a, b, applied.chain, wanted.chain);
  const shorter = Math.min(before.length, after.length);
  let start = applied.set.kind === 'addresses' ? sharedBeginning(before, after, shorter) : 0;
  while (start < shorter && same(before[start], after[start])) start += 1;
  const limit = shorter - start;
  let end = applied.set.kind === 'addresses' ? sharedEnd(before, after, limit) : 0;
  while (end < limit && same(before[before.length - 1 - end], after[after.length - 1 - end])) end += 1;
  const text = (chain: KernelChain) => (element: RulesetElement) => elementText(element, chain);
  const old = new Map(byText(before.slice(start, before.length - end), text(applied.chain)));
  const now = new Map(byText(after.slice(start, after.length - end), text(wanted.chain)));
  const removed = [...old].filter(([key]) => !now.has(key)).map(([, element]) => setElement(element, applied.chain));
  const added = [...now].filter(([key]) => !old.has(key)).map(([, element]) => setElement(element, wanted.chain));
  if (removed.length === 0 && added.length === 0) return undefined;
  const { family, interval } = wanted.set;
  return { set: kernel, key: family, interval, removed, added };
}

/** How many elements at the beginning are the same objects; a million take one or two milliseconds. */
function sharedBeginning(a: readonly RulesetElement[], b: readonly RulesetElement[], limit: number): number {
  let count = 0;
  while (count < limit && a[count] === b[count]) count += 1;
  return count;
}

function sharedEnd(a: readonly RulesetElement[], b: readonly RulesetElement[], limit: number): number {
  const shift = b.length - a.length;
  let last = a.length - 1;
  const first = a.length - limit;
  while (last >= first && a[last] === b[last + shift]) last -= 1;
  return a.length - 1 - last;
}

function byText(
  elements: readonly RulesetElement[],
  text: (element: RulesetElement) => string,
): (readonly [string, RulesetElement])[] {
  return elements.map((element) => [text(element), element]);
}

function intervalOf(element: RulesetElement): Interval {
  return 'key' in element ? element.key : element;
}

function verdictOf(element: RulesetElement): SimpleVerdict | undefined {
  return 'key' in element ? element.verdict : undefined;
}

function sameElement(
  a: RulesetElement | undefined,
  b: RulesetElement | undefined,
  chainA: KernelChain,
  chainB: KernelChain,
): boolean {
  if (a === undefined || b === undefined) return false;
  const [keyA, keyB] = [intervalOf(a), intervalOf(b)];
  return keyA.from === keyB.from && keyA.to === keyB.to && verdictText(a, chainA) === verdictText(b, chainB);
}

function elementText(element: RulesetElement, chain: KernelChain): string {
  const { from, to } = intervalOf(element);
  return `${from}-${to} ${verdictText(element, chain)}`;
}

function verdictText(element: RulesetElement, chain: KernelChain): string {
  const verdict = verdictOf(element);
  if (verdict === undefined) return '';
  return 'chain' in verdict ? `${verdict.kind} ${chain(verdict.chain)}` : verdict.kind;
}

function setElement(element: RulesetElement, chain: KernelChain): Element {
  const verdict = verdictOf(element);
  return {
    interval: intervalOf(element),
    verdict: verdict !== undefined && 'chain' in verdict ? { ...verdict, chain: chain(verdict.chain) } : verdict,
  };
}
