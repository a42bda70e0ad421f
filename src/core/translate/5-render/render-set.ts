import { formatInterval, type Interval } from '#core/model/net/interval.ts';
import type { AddressMap, AddressSet, MapElement, NftSet } from '#core/model/nft/ruleset.ts';
import { type KernelNames, renderComment, renderPorts, renderSimpleVerdict } from './render-rule.ts';

/** Whether a set is a map in nft's terms. */
export function isMap(set: NftSet): boolean {
  return set.kind === 'addressMap' || set.kind === 'portMap';
}

/** Whether a set changes by element, as members of groups and entries of lists come and go. */
export function isDynamic(set: NftSet): set is AddressSet | AddressMap {
  return set.kind === 'addresses' || (set.kind === 'addressMap' && set.dynamic);
}

/** The declaration of a set in nft's language, without its name and elements. */
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

/** More elements than this share lines: nobody reads them, and a line for each would take more memory than all else. */
const MAX_SINGLE_LINES = 1_000;
const ELEMENTS_PER_LINE = 100;

/** Texts of elements as lines: one element per line, or many if there are many. */
export function elementLineTexts(texts: readonly string[]): readonly string[] {
  if (texts.length <= MAX_SINGLE_LINES) return texts;
  const lines: string[] = [];
  for (let i = 0; i < texts.length; i += ELEMENTS_PER_LINE)
    lines.push(texts.slice(i, i + ELEMENTS_PER_LINE).join(', '));
  return lines;
}

/** The lines of elements of a set or map that changes by element. */
export function renderDynamicElements(set: AddressSet | AddressMap, names: KernelNames): readonly string[] {
  return set.kind === 'addresses'
    ? addressLines(set.elements)
    : elementLineTexts(mapTexts(set.elements, formatInterval, names));
}

/** The elements of any other set or map, in order. */
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

/** Renders the members of a group once, however often the rules around them change. */
function addressLines(elements: readonly Interval[]): readonly string[] {
  const existing = linesOf.get(elements);
  if (existing !== undefined) return existing;
  const lines = elementLineTexts(elements.map(formatInterval));
  linesOf.set(elements, lines);
  return lines;
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
