import type { Element, ElementChange } from '#core/model/nft/element-change.ts';
import type { Interval } from '#core/model/net/interval.ts';
import type { AddressMap, AddressSet, MapElement, SimpleVerdict } from '#core/model/nft/ruleset.ts';

type RulesetElement = Interval | MapElement<Interval>;

/** The chain of the kernel that a chain of the ruleset is. */
type KernelChain = (name: string) => string;

/** A set or map as it is in the kernel or shall be. */
export interface HeldSet {
  readonly set: AddressSet | AddressMap;
  readonly chain: KernelChain;
}

/**
 * What has to go out of a set and come into it; undefined where nothing has. Costs what the two have in common at their
 * beginning and end as a comparison of references, where reading has kept what did not change, and only what lies
 * between in full.
 */
export function elementChange(kernel: string, was: HeldSet, wanted: HeldSet): ElementChange | undefined {
  const before: readonly RulesetElement[] = was.set.elements;
  const after: readonly RulesetElement[] = wanted.set.elements;
  if (before === after && was.set.kind === 'addresses') return undefined;
  const same = (a: RulesetElement | undefined, b: RulesetElement | undefined): boolean =>
    sameElement(a, b, was.chain, wanted.chain);
  const shorter = Math.min(before.length, after.length);
  let start = was.set.kind === 'addresses' ? sharedBeginning(before, after, shorter) : 0;
  while (start < shorter && same(before[start], after[start])) start += 1;
  const most = shorter - start;
  let end = was.set.kind === 'addresses' ? sharedEnd(before, after, most) : 0;
  while (end < most && same(before[before.length - 1 - end], after[after.length - 1 - end])) end += 1;
  const text = (chain: KernelChain) => (element: RulesetElement) => elementText(element, chain);
  const old = new Map(byText(before.slice(start, before.length - end), text(was.chain)));
  const now = new Map(byText(after.slice(start, after.length - end), text(wanted.chain)));
  const removed = [...old].filter(([key]) => !now.has(key)).map(([, one]) => setElement(one, was.chain));
  const added = [...now].filter(([key]) => !old.has(key)).map(([, one]) => setElement(one, wanted.chain));
  if (removed.length === 0 && added.length === 0) return undefined;
  const { family, interval } = wanted.set;
  return { set: kernel, key: family, interval, removed, added };
}

/** How many elements from the beginning on are the very same; of a million it costs one or two milliseconds. */
function sharedBeginning(a: readonly RulesetElement[], b: readonly RulesetElement[], most: number): number {
  let count = 0;
  while (count < most && a[count] === b[count]) count += 1;
  return count;
}

function sharedEnd(a: readonly RulesetElement[], b: readonly RulesetElement[], most: number): number {
  const shift = b.length - a.length;
  let last = a.length - 1;
  const least = a.length - most;
  while (last >= least && a[last] === b[last + shift]) last -= 1;
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
  const [one, other] = [intervalOf(a), intervalOf(b)];
  return one.from === other.from && one.to === other.to && verdictText(a, chainA) === verdictText(b, chainB);
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
