import { formatInterval } from '../model/interval.ts';
import type { NftSet } from '../model/ruleset.ts';
import type { Script, ScriptLine } from '../model/script.ts';
import { renderComment, renderPorts } from './render-rule.ts';

/**
 * A set with all its elements, as a block within `table inet secgroupd { }`, one element a line.
 * A block, because nft lists every interval set of the namespace before it runs an `add element` command, and not for a block.
 */
export function renderSetBlock(set: NftSet, kernelName: string): Script {
  const elements = setElements(set);
  const open = `  set ${kernelName} { ${declaration(set)}`;
  if (elements.length === 0) return [line(`${open} }`)];
  return [
    line(open),
    line('    elements = {'),
    ...elements.map((element, i) => line(`      ${element}${i === elements.length - 1 ? '' : ','}`)),
    line('    }'),
    line('  }'),
  ];
}

/** The elements of a set in nft's language, in order. */
export function setElements(set: NftSet): readonly string[] {
  switch (set.kind) {
    case 'addresses':
      return set.elements.map(formatInterval);
    case 'ports':
      return set.ports.map(renderPorts);
  }
}

function declaration(set: NftSet): string {
  switch (set.kind) {
    case 'addresses': {
      const type = set.family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr';
      return `type ${type};${set.interval ? ' flags interval;' : ''} ${renderComment(set.comment)};`;
    }
    case 'ports':
      return `type inet_service;${set.ports.every(({ from, to }) => from === to) ? '' : ' flags interval;'}`;
  }
}

function line(text: string): ScriptLine {
  return { text, span: undefined };
}
