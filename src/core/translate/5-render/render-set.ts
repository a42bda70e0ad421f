import { formatInterval, type Interval } from '#core/model/net/interval.ts';
import type { AddressMap, AddressSet, MapElement, NftSet } from '#core/model/nft/ruleset.ts';
import { type KernelNames, renderComment, renderPorts, renderSimpleVerdict } from './render-rule.ts';

/** Whether nft calls it a map. */
export function isMap(set: NftSet): boolean {
  return set.kind === 'addressMap' || set.kind === 'portMap';
}

/** Whether it changes by element, as members and entries of lists come and go. */
export function isDynamic(set: NftSet): set is AddressSet | AddressMap {
  return set.kind === 'addresses' || (set.kind === 'addressMap' && set.dynamic);
}

/** What a set is, in nft's words, without its name and elements. */
export function renderDeclaration(set: NftSet): string {
  switch (set.kind) {
    case 'addresses':
      return `type ${addressType(set.family)};${set.interval ? ' flags interval;' : ''} ${renderComment(set.comment)};`;
    case 'ports':
      return `type inet_service;${set.ports.every(({ from, to }) => from === to) ? '' : ' flags interval;'}`;
    case 'addressMap':
      return `type ${addressType(set.family)} : verdict;${set.interval ? ' flags interval;' : ''}`;
    case 'portMap':
      return `type inet_service : verdict;${set.interval ? ' flags interval;' : ''}`;
  }
}

/** Beyond so many elements nobody reads them, and lines of their own would take more memory than all else. */
const MOST_LINES = 1_000;
const ELEMENTS_A_LINE = 100;

/** Texts of elements as lines: one each, or many where they are many. */
export function elementLineTexts(texts: readonly string[]): readonly string[] {
  if (texts.length <= MOST_LINES) return texts;
  const lines: string[] = [];
  for (let i = 0; i < texts.length; i += ELEMENTS_A_LINE) lines.push(texts.slice(i, i + ELEMENTS_A_LINE).join(', '));
  return lines;
}

/** The elements of a set or map that changes by element in nft's words, in lines. */
export function renderDynamicElements(set: AddressSet | AddressMap, names: KernelNames): readonly string[] {
  return set.kind === 'addresses'
    ? addressLines(set.elements)
    : elementLineTexts(mapTexts(set.elements, formatInterval, names));
}

/** The elements of any other set or map in nft's words, in order. */
export function renderElements(
  set: Exclude<NftSet, { readonly kind: 'addresses' }>,
  names: KernelNames,
): readonly string[] {
  switch (set.kind) {
    case 'ports':
      return set.ports.map(renderPorts);
    case 'addressMap':
      return mapTexts(set.elements, formatInterval, names);
    case 'portMap':
      return mapTexts(set.elements, renderPorts, names);
  }
}

const linesOf = new WeakMap<readonly Interval[], readonly string[]>();

/** The members of a group are rendered once, however often what surrounds them changes. */
function addressLines(elements: readonly Interval[]): readonly string[] {
  const known = linesOf.get(elements);
  if (known !== undefined) return known;
  const made = elementLineTexts(elements.map(formatInterval));
  linesOf.set(elements, made);
  return made;
}

function mapTexts<Key>(
  elements: readonly MapElement<Key>[],
  renderKey: (key: Key) => string,
  names: KernelNames,
): readonly string[] {
  return elements.map(({ key, verdict }) => `${renderKey(key)} : ${renderSimpleVerdict(verdict, names)}`);
}

function addressType(family: 'ipv4' | 'ipv6'): string {
  return family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr';
}
