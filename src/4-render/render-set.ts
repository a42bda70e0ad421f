import { formatInterval, type Interval } from '../model/interval.ts';
import type { AddressMap, AddressSet, MapElement, NftSet } from '../model/ruleset.ts';
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

/** The elements of a set or map in nft's words, in order. */
export function renderElements(set: NftSet, names: KernelNames): readonly string[] {
  switch (set.kind) {
    case 'addresses':
      return addressTexts(set.elements);
    case 'ports':
      return set.ports.map(renderPorts);
    case 'addressMap':
      return mapTexts(set.elements, formatInterval, names);
    case 'portMap':
      return mapTexts(set.elements, renderPorts, names);
  }
}

const texts = new WeakMap<readonly Interval[], readonly string[]>();

/** The members of a group are rendered once, however often what surrounds them changes. */
function addressTexts(elements: readonly Interval[]): readonly string[] {
  const known = texts.get(elements);
  if (known !== undefined) return known;
  const made = elements.map(formatInterval);
  texts.set(elements, made);
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
