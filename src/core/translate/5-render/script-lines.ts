import { FAMILIES } from '#core/model/net/address.ts';
import type { ChainContent, Element, ElementChange } from '#core/model/nft/element-change.ts';
import { formatInterval } from '#core/model/net/interval.ts';
import { MAX_REVOKED_ELEMENTS, REVOKED_SECONDS, revokedSet } from '#core/model/nft/revoked-flows.ts';
import type { ScriptLine } from '#core/model/nft/script.ts';
import { renderLabelRule } from './render-label-rule.ts';
import { APPLIED_SET, TABLE } from './names.ts';
import { elementLineTexts } from './render-set.ts';
import type { ObjectLine } from './render-objects.ts';
import { renderComment, renderOrigin, renderSimpleVerdict } from './render-rule.ts';

/** The kernel's names of some of our objects. */
export interface KernelObjects {
  readonly chains: readonly string[];
  readonly maps: readonly string[];
  readonly sets: readonly string[];
}

/** A line that comes from no place of the policy. */
export function line(text: string): ScriptLine {
  return { text, span: undefined };
}

/**
 * A set or map with all its elements, names as the kernel has them, as a block within `table inet secgroupd { }`.
 * A block, because nft lists every interval set of the namespace before it runs an `add element` command, and not for a block.
 */
export function setBlock(
  object: { readonly kind: string; readonly declaration: string; readonly lines: readonly ObjectLine[] },
  name: string,
): ScriptLine[] {
  const { kind, declaration, lines } = object;
  const open = `  ${kind} ${name} { ${declaration}`;
  if (lines.length === 0) return [line(`${open} }`)];
  return [
    line(open),
    line('    elements = {'),
    ...lines.map(({ text, origin }, i) => ({
      text: `      ${text}${i === lines.length - 1 ? '' : ','}${renderOrigin(origin)}`,
      span: origin?.span,
    })),
    line('    }'),
    line('  }'),
  ];
}

/** Adds rules to a chain; `chain` is the kernel's name, and so are those in the lines. */
export function ruleLines(chain: string, lines: readonly ObjectLine[]): ScriptLine[] {
  return lines.map(({ text, origin }) => ({
    text: `add rule ${TABLE} ${chain} ${text}${renderOrigin(origin)}`,
    span: origin?.span,
  }));
}

/** Fills a chain of labels that is there and empty. */
export function labelRuleLines({ chain, rules }: ChainContent): ScriptLine[] {
  return rules.map((rule) => line(`add rule ${TABLE} ${chain} ${renderLabelRule(rule)}`));
}

/** Fills a chain of labels anew. */
export function contentLines(content: ChainContent): ScriptLine[] {
  return [line(`flush chain ${TABLE} ${content.chain}`), ...labelRuleLines(content)];
}

/** Changes the elements of a set. Deletions first: the kernel refuses an element that overlaps one which goes later. */
export function elementLines({ set, removed, added }: ElementChange): ScriptLine[] {
  const block = (verb: string, elements: readonly Element[]): ScriptLine[] =>
    elements.length === 0
      ? []
      : [
          line(`${verb} element ${TABLE} ${set} {`),
          ...elementLineTexts(elements.map(elementText)).map((text) => line(`  ${text},`)),
          line('}'),
        ];
  return [...block('delete', removed), ...block('add', added)];
}

function elementText({ interval, verdict }: Element): string {
  const key = formatInterval(interval);
  const itself = (name: string): string => name;
  return verdict === undefined ? key : `${key} : ${renderSimpleVerdict(verdict, { set: itself, chain: itself })}`;
}

/** Removes objects that refer to each other: rules to all of them, maps to chains. */
export function removal({ chains, maps, sets }: KernelObjects): ScriptLine[] {
  return [
    ...chains.map((name) => line(`flush chain ${TABLE} ${name}`)),
    ...maps.map((name) => line(`delete map ${TABLE} ${name}`)),
    ...chains.map((name) => line(`delete chain ${TABLE} ${name}`)),
    ...sets.map((name) => line(`delete set ${TABLE} ${name}`)),
  ];
}

/** Makes a base chain, unless it is there. */
export function baseChainLine(name: string, hook: string): ScriptLine {
  return line(`add chain ${TABLE} ${name} { type filter hook ${hook} priority filter; policy drop; }`);
}

/** Makes the marker of what is in force, unless it is there. */
export function markerLine(): ScriptLine {
  return line(`  set ${APPLIED_SET} { type mark; ${renderComment('what is in force')}; }`);
}

/** Makes the sets of revoked flows, unless they are there: what they hold outlives changes, and a boot begins with none. */
export function revokedSetLines(): ScriptLine[] {
  return FAMILIES.map((family) => {
    const address = family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr';
    const type = `type inet_proto . ${address} . inet_service . ${address} . inet_service;`;
    const bounds = `flags timeout; timeout ${REVOKED_SECONDS}s; size ${MAX_REVOKED_ELEMENTS};`;
    return line(`  set ${revokedSet(family)} { ${type} ${bounds} ${renderComment('flows that were revoked')}; }`);
  });
}

/** Has the marker say what is in force. */
export function appliedLines(applied: string): ScriptLine[] {
  return [
    line(`flush set ${TABLE} ${APPLIED_SET}`),
    line(`table ${TABLE} {`),
    line(`  set ${APPLIED_SET} { type mark; ${renderComment('what is in force')};`),
    line(`    elements = { 1 ${renderComment(applied)} }`),
    line('  }'),
    line('}'),
  ];
}
