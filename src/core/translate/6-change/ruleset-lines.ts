import type { Rendered } from '#core/model/nft/in-force.ts';
import type { AddressMap, AddressSet } from '#core/model/nft/ruleset.ts';
import type { Script, ScriptLine } from '#core/model/nft/script.ts';
import { MAX_RECENT_ENDS, RECENT_SECONDS } from '#core/model/packet/recent-ends.ts';
import { TABLE } from '#core/translate/5-render/names.ts';
import {
  linesWithNames,
  type ObjectLine,
  type RenderedRuleset,
  type StaticObject,
  withNames,
} from '#core/translate/5-render/render-objects.ts';
import { isMap, renderDeclaration, renderDynamicElements } from '#core/translate/5-render/render-set.ts';
import {
  baseChainLine,
  labelRuleLines,
  line,
  markerLine,
  revokedSetLines,
  ruleLines,
  setBlock,
} from '#core/translate/5-render/script-lines.ts';
import { labelChainNames, labelChains } from './label-chains.ts';
import { kernelNames } from './plan-names.ts';

/** The whole ruleset, as it was `rendered`, as one script that replaces nothing. */
export function creationScript(wanted: RenderedRuleset, rendered: Rendered): Script {
  const { objects } = wanted;
  return [
    ...logLines(wanted),
    ...objectDeclarations(objects, { rendered, labelChains: labelChainNames(wanted.chainSets) }),
    line(`table ${TABLE} {`),
    markerLine(),
    ...revokedSetLines(),
    ...wanted.dynamic.flatMap((set) => dynamicBlock(set, wanted, rendered)),
    ...staticSets(objects, rendered),
    line('}'),
    ...chainRules(objects, rendered),
    ...labelChains(wanted.chainSets, 'none').flatMap(labelRuleLines),
    ...baseLines(wanted, rendered),
  ];
}

/** Creates the limits and sets that log rules share. Those that exist stay as they are. */
export function logLines({ limits, recent }: RenderedRuleset): Script {
  return [
    ...limits.map(({ name, packetsPerMinute, burst }) =>
      line(`add limit ${TABLE} ${name} { rate ${packetsPerMinute}/minute burst ${burst} packets ; }`),
    ),
    ...recent.map(({ name, family }) =>
      line(
        `add set ${TABLE} ${name} { type ${family}_addr ; flags dynamic,timeout ; timeout ${RECENT_SECONDS}s ; size ${MAX_RECENT_ENDS} ; }`,
      ),
    ),
  ];
}

interface Declarations {
  readonly rendered: Rendered;
  readonly labelChains: readonly string[];
}

/** Creates empty chains, so that maps and rules can refer to them. */
export function objectDeclarations(
  objects: readonly StaticObject[],
  { rendered, labelChains: labels }: Declarations,
): Script {
  const kernel = kernelNames(rendered);
  const chains = objects.filter(({ kind }) => kind === 'chain').map(({ name }) => kernel(name));
  return [...labels, ...chains].map((name) => line(`add chain ${TABLE} ${name}`));
}

/** Creates sets and maps that change only with the rules. */
export function staticSets(objects: readonly StaticObject[], rendered: Rendered): ScriptLine[] {
  const kernel = kernelNames(rendered);
  return objects
    .filter(({ kind }) => kind !== 'chain')
    .flatMap((object) => setBlock({ ...object, lines: linesOf(object, rendered) }, kernel(object.name)));
}

/** Fills chains. */
export function chainRules(objects: readonly StaticObject[], rendered: Rendered): ScriptLine[] {
  const kernel = kernelNames(rendered);
  return objects
    .filter(({ kind }) => kind === 'chain')
    .flatMap((object) => ruleLines(kernel(object.name), linesOf(object, rendered)));
}

function linesOf(object: StaticObject, { objects }: Rendered): readonly ObjectLine[] {
  return linesWithNames(object, objects.get(object.name)?.body ?? '');
}

/** Creates a set or map that changes by element, with its elements. */
export function dynamicBlock(
  set: AddressSet | AddressMap,
  { canonical }: RenderedRuleset,
  rendered: Rendered,
): readonly ScriptLine[] {
  const kernel = kernelNames(rendered);
  const names = { set: kernel, chain: (name: string) => kernel(canonical(name)) };
  const lines = renderDynamicElements(set, names).map((text) => ({ text, origin: undefined }));
  const kind = isMap(set) ? 'map' : 'set';
  return setBlock({ kind, declaration: renderDeclaration(set), lines }, kernel(set.name));
}

/** Replaces the rules of the base chains. */
export function baseLines({ base }: RenderedRuleset, rendered: Rendered): ScriptLine[] {
  const kernel = kernelNames(rendered);
  const named = (lines: readonly ObjectLine[]): readonly ObjectLine[] =>
    lines.map(({ text, origin }) => ({ text: withNames(text, kernel), origin }));
  return [
    ...base.map(({ chain }) => baseChainLine(chain.name, chain.hook ?? '')),
    ...base.map(({ chain }) => line(`flush chain ${TABLE} ${chain.name}`)),
    ...base.flatMap(({ chain, lines }) => ruleLines(chain.name, named(lines))),
  ];
}
