import { FAMILIES } from '#core/model/net/address.ts';
import { formatInterval } from '#core/model/net/interval.ts';
import type { ChainContent, Element, ElementChange } from '#core/model/nft/element-change.ts';
import { MAX_REVOKED_ELEMENTS, REVOKED_SECONDS, revokedSet } from '#core/model/nft/revoked-flows.ts';
import type { ScriptLine } from '#core/model/nft/script.ts';
import { APPLIED_SET, TABLE } from './names.ts';
import { renderLabelRule } from './render-label-rule.ts';
import type { ObjectLine } from './render-objects.ts';
import { renderComment, renderOrigin, renderSimpleVerdict } from './render-rule.ts';
import { elementLineTexts } from './render-set.ts';

/** Kernel names of some of our objects. */
export interface KernelObjects {
  readonly chains: readonly string[];
  readonly maps: readonly string[];
  readonly sets: readonly string[];
}

/** A line that was made from no place of the policy. */
export function line(text: string): ScriptLine {
  return { text, span: undefined };
}

/**
 * A set or map with all its elements, in kernel names, as a block within `table inet secgroupd { }`. Before it runs an
 * `add element` command, nft lists every interval set of the namespace; for a block it does not.
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

/** Adds rules to a chain; `chain` and the names in the lines are kernel names. */
export function ruleLines(chain: string, lines: readonly ObjectLine[]): ScriptLine[] {
  return lines.map(({ text, origin }) => ({
    text: `add rule ${TABLE} ${chain} ${text}${renderOrigin(origin)}`,
    span: origin?.span,
  }));
}

/** Fills an empty label chain. */
export function labelRuleLines({ chain, rules }: ChainContent): ScriptLine[] {
  return rules.map((rule) => line(`add rule ${TABLE} ${chain} ${renderLabelRule(rule)}`));
}

/** Replaces the content of a label chain. */
export function contentLines(content: ChainContent): ScriptLine[] {
  return [line(`flush chain ${TABLE} ${content.chain}`), ...labelRuleLines(content)];
}

/** Changes the elements of a set. Deletions come first: the kernel refuses an element that overlaps one deleted later. */
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

/** Removes objects in an order that their references allow: rules refer to all of them, maps to chains. */
export function removal({ chains, maps, sets }: KernelObjects): ScriptLine[] {
  return [
    ...chains.map((name) => line(`flush chain ${TABLE} ${name}`)),
    ...maps.map((name) => line(`delete map ${TABLE} ${name}`)),
    ...chains.map((name) => line(`delete chain ${TABLE} ${name}`)),
    ...sets.map((name) => line(`delete set ${TABLE} ${name}`)),
  ];
}

/** Creates a base chain if it is missing. */
export function baseChainLine(name: string, hook: string): ScriptLine {
  return line(`add chain ${TABLE} ${name} { type filter hook ${hook} priority filter; policy drop; }`);
}

/** Creates the marker of what is in force if it is missing. */
export function markerLine(): ScriptLine {
  return line(`  set ${APPLIED_SET} { type mark; ${renderComment('what is in force')}; }`);
}

/** Creates the sets of revoked flows if they are missing: their content outlives changes, and is empty at boot. */
export function revokedSetLines(): ScriptLine[] {
  return FAMILIES.map((family) => {
    const address = family === 'ipv4' ? 'ipv4_addr' : 'ipv6_addr';
    const type = `type inet_proto . ${address} . inet_service . ${address} . inet_service;`;
    const bounds = `flags timeout; timeout ${REVOKED_SECONDS}s; size ${MAX_REVOKED_ELEMENTS};`;
    return line(`  set ${revokedSet(family)} { ${type} ${bounds} ${renderComment('flows that were revoked')}; }`);
  });
}

/** Sets the marker of what is in force. */
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
