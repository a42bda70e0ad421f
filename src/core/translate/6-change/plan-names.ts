import type { ElementChange } from '#core/model/nft/element-change.ts';
import type { DynamicSet, InForce, Rendered, RenderedObject } from '#core/model/nft/in-force.ts';
import type { AddressMap, AddressSet } from '#core/model/nft/ruleset.ts';
import { carrySum } from '#core/translate/5-render/content-text.ts';
import { kernelName } from '#core/translate/5-render/names.ts';
import { type RenderedRuleset, withNames } from '#core/translate/5-render/render-objects.ts';
import { renderDeclaration } from '#core/translate/5-render/render-set.ts';
import { elementChange, type SetContent } from './element-difference.ts';

/** Which applied objects stay, the names of new ones, and the differences in sets that stay. */
export interface NamePlan {
  readonly generation: number;
  /** Whether only elements differ, which can be changed in place. */
  readonly onlyElements: boolean;
  readonly differences: readonly ElementChange[];
  readonly rendered: Rendered;
  /** Whether an object is made by this change. */
  readonly isNew: (name: string) => boolean;
  /** Whether a chain that stays gets new rules. */
  readonly isRewritten: (name: string) => boolean;
}

/** Kernel names by the ruleset's names. */
export function kernelNames({ objects, dynamic }: Pick<Rendered, 'objects' | 'dynamic'>): (name: string) => string {
  return (name) => objects.get(name)?.kernel ?? dynamic.get(name)?.kernel ?? name;
}

/** Plans the kernel names of `wanted`, which has that `structure`, beside the objects that exist. */
export function planNames(wanted: RenderedRuleset, structure: string, inForce: InForce | undefined): NamePlan {
  const generation = (inForce?.generation ?? 0) + 1;
  const old = inForce?.rendered;
  return old?.structure === structure
    ? planElements(wanted, old, generation)
    : planSwap(wanted, old, { structure, generation });
}

function planElements(wanted: RenderedRuleset, old: Rendered, generation: number): NamePlan {
  const kernel = kernelNames(old);
  const differences: ElementChange[] = [];
  const dynamic = new Map<string, DynamicSet>();
  for (const set of wanted.dynamic) {
    const applied = old.dynamic.get(set.name);
    if (applied === undefined) throw new Error(`rulesets of one structure, and ${set.name} is in one of them`);
    const content = { set, chain: (name: string) => kernel(wanted.canonical(name)) };
    const change = elementChange(applied.kernel, { set: applied.set, chain: kernel }, content);
    if (change !== undefined) {
      differences.push(change);
      if (set.kind === 'addresses' && applied.set.kind === 'addresses')
        carrySum(applied.set.elements, set.elements, change);
    }
    dynamic.set(set.name, { set, kernel: applied.kernel });
  }
  const rendered: Rendered = { ...old, dynamic };
  return {
    generation,
    onlyElements: true,
    differences,
    rendered,
    isNew: () => false,
    isRewritten: () => false,
  };
}

// INVARIANT: packets meet the whole old or the whole new ruleset. All rules change at one moment, so chains may stay and
// be rewritten; sets and maps do not, so those that differ are made anew.
function planSwap(
  wanted: RenderedRuleset,
  old: Rendered | undefined,
  { structure, generation }: Pick<Rendered, 'structure'> & Pick<NamePlan, 'generation'>,
): NamePlan {
  const objects = new Map<string, RenderedObject>();
  const dynamic = new Map<string, DynamicSet>();
  const made = new Set<string>();
  const rewritten = new Set<string>();
  const kernel = kernelNames({ objects, dynamic });
  const oldKernel = old === undefined ? (name: string) => name : kernelNames(old);
  const byBody = new Map<string, RenderedObject>();
  for (const object of old?.objects.values() ?? []) if (object.kind !== 'chain') byBody.set(bodyKey(object), object);
  const setOf = new Map(wanted.dynamic.map((set) => [set.name, set]));
  const planSet = (set: AddressSet | AddressMap): void => {
    if (dynamic.has(set.name)) return;
    const applied = old?.dynamic.get(set.name);
    const content: SetContent = { set, chain: (name) => kernel(wanted.canonical(name)) };
    const kept =
      applied !== undefined && isSameContent({ set: applied.set, chain: oldKernel }, content, applied.kernel);
    if (!kept) made.add(set.name);
    dynamic.set(set.name, { set, kernel: kept ? applied.kernel : kernelName(set.name, generation) });
  };
  for (const { kind, name, text, uses } of wanted.objects) {
    for (const used of uses) {
      const set = setOf.get(used);
      if (set !== undefined) planSet(set);
    }
    const applied = old?.objects.get(name);
    const same =
      applied?.kind === kind && applied.text === text && uses.every((used) => kernel(used) === oldKernel(used));
    const body = same ? applied.body : withNames(text, kernel);
    // A chain keeps its name whatever its rules, so that what leads to it can stay as well.
    const kept =
      kind === 'chain' ? (applied?.kind === kind ? applied : undefined) : byBody.get(bodyKey({ kind, body }));
    if (kept === undefined) made.add(name);
    else if (kept.body !== body) rewritten.add(name);
    objects.set(name, { kind, text, body, kernel: kept?.kernel ?? kernelName(name, generation) });
  }
  for (const set of wanted.dynamic) planSet(set);
  const rules =
    wanted.objects.reduce((sum, { kind, lines }) => sum + (kind === 'chain' ? lines.length : 0), 0) +
    wanted.base.reduce((sum, { lines }) => sum + lines.length, 0);
  return {
    generation,
    onlyElements: false,
    differences: [],
    rendered: { objects, dynamic, structure, chainSets: wanted.chainSets, rules },
    isNew: (name) => made.has(name),
    isRewritten: (name) => rewritten.has(name),
  };
}

function isSameContent(applied: SetContent, wanted: SetContent, kernel: string): boolean {
  return (
    renderDeclaration(applied.set) === renderDeclaration(wanted.set) &&
    elementChange(kernel, applied, wanted) === undefined
  );
}

function bodyKey({ kind, body }: Pick<RenderedObject, 'kind' | 'body'>): string {
  return `${kind} ${body}`;
}
