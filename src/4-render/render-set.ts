import { formatInterval } from '../model/interval.ts';
import type { MapElement, NftSet } from '../model/ruleset.ts';
import type { Script, ScriptLine } from '../model/script.ts';
import { type KernelNames, printableComment, renderComment, renderPorts, renderSimpleVerdict } from './render-rule.ts';

/**
 * A set or map with all its elements, as a block within `table inet secgroupd { }`, one element a line.
 * A block, because nft lists every interval set of the namespace before it runs an `add element` command, and not for a block.
 */
export function renderSetBlock(set: NftSet, kernelName: string, names: KernelNames): Script {
  const elements = elementLines(set, names);
  const open = `  ${isMap(set) ? 'map' : 'set'} ${kernelName} { ${declaration(set)}`;
  if (elements.length === 0) return [line(`${open} }`)];
  return [line(open), line('    elements = {'), ...elements, line('    }'), line('  }')];
}

/** Whether nft calls it a map. */
export function isMap(set: NftSet): boolean {
  return set.kind === 'addressMap' || set.kind === 'portMap';
}

/** The elements of a set of addresses or ports in nft's language, in order; a map has none to be compared. */
export function setElements(set: NftSet): readonly string[] {
  switch (set.kind) {
    case 'addresses':
      return set.elements.map(formatInterval);
    case 'ports':
      return set.ports.map(renderPorts);
    case 'addressMap':
    case 'portMap':
      return [];
  }
}

function elementLines(set: NftSet, names: KernelNames): ScriptLine[] {
  switch (set.kind) {
    case 'addresses':
    case 'ports':
      return setElements(set).map((element, i, all) => line(`      ${element}${i === all.length - 1 ? '' : ','}`));
    case 'addressMap':
      return mapLines(set.elements, formatInterval, names);
    case 'portMap':
      return mapLines(set.elements, renderPorts, names);
  }
}

/** Comments of elements are the script's, not the kernel's: there they would cost as much memory as the elements. */
function mapLines<Key>(
  elements: readonly MapElement<Key>[],
  renderKey: (key: Key) => string,
  names: KernelNames,
): ScriptLine[] {
  return elements.map(({ key, verdict, comment, span }, i) => ({
    text: `      ${renderKey(key)} : ${renderSimpleVerdict(verdict, names)}${i === elements.length - 1 ? '' : ','} # ${printableComment(comment, span)}`,
    span,
  }));
}

function declaration(set: NftSet): string {
  switch (set.kind) {
    case 'addresses':
      return `type ${addressType(set.family)};${set.interval ? ' flags interval;' : ''} ${renderComment(set.comment)};`;
    case 'ports':
      return `type inet_service;${set.ports.every(({ from, to }) => from === to) ? '' : ' flags interval;'}`;
    case 'addressMap':
      return `type ${addressType(set.family)} : verdict; flags interval;`;
    case 'portMap':
      return `type inet_service : verdict;${set.interval ? ' flags interval;' : ''}`;
  }
}

function addressType(family: 'ipv4' | 'ipv6'): string {
  return family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr';
}

function line(text: string): ScriptLine {
  return { text, span: undefined };
}
