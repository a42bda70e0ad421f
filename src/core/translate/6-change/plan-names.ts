import type { ElementChange } from '#core/model/nft/element-change.ts';
import type { DynamicSet, InForce, Rendered, RenderedObject } from '#core/model/nft/in-force.ts';
import type { AddressMap, AddressSet } from '#core/model/nft/ruleset.ts';
import { elementChange, type HeldSet } from './element-difference.ts';
import { kernelName } from '#core/translate/5-render/names.ts';
import { type RenderedRuleset, withNames } from '#core/translate/5-render/render-objects.ts';
import { renderDeclaration } from '#core/translate/5-render/render-set.ts';
import { carrySum } from '#core/translate/5-render/content-text.ts';

/** Which objects in force can stay as they are, what the others will be called, and what differs in sets that stay. */
export interface NamePlan {
  readonly generation: number;
  /** Nothing but elements differs, and they can be changed in place. */
  readonly onlyElements: boolean;
  readonly differences: readonly ElementChange[];
  readonly rendered: Rendered;
  /** Whether an object has to be made. */
  readonly isNew: (name: string) => boolean;
  /** Whether a chain that stays gets other rules. */
  readonly isRewritten: (name: string) => boolean;
}

/** The kernel's name of what the ruleset calls so. */
export function kernelNames({ objects, dynamic }: Pick<Rendered, 'objects' | 'dynamic'>): (name: string) => string {
  return (name) => objects.get(name)?.kernel ?? dynamic.get(name)?.kernel ?? name;
}

/** Plans the names under which `wanted`, of that `structure`, goes into the kernel, beside what is there. */
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
    const was = old.dynamic.get(set.name);
    if (was === undefined) throw new Error(`rulesets of one structure, and ${set.name} is in one of them`);
    const held = { set, chain: (name: string) => kernel(wanted.canonical(name)) };
    const change = elementChange(was.kernel, { set: was.set, chain: kernel }, held);
    if (change !== undefined) {
      differences.push(change);
      if (set.kind === 'addresses' && was.set.kind === 'addresses') carrySum(was.set.elements, set.elements, change);
    }
    dynamic.set(set.name, { set, kernel: was.kernel });
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

// INVARIANT: packets meet the whole old or the whole new ruleset. What a chain that stays says is another at one moment,
// together with all rules; of sets and maps that holds for none, so those that differ are made anew.
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
    const was = old?.dynamic.get(set.name);
    const held: HeldSet = { set, chain: (name) => kernel(wanted.canonical(name)) };
    const stays = was !== undefined && holdsSame({ set: was.set, chain: oldKernel }, held, was.kernel);
    if (!stays) made.add(set.name);
    dynamic.set(set.name, { set, kernel: stays ? was.kernel : kernelName(set.name, generation) });
  };
  for (const { kind, name, text, uses } of wanted.objects) {
    for (const used of uses) {
      const set = setOf.get(used);
      if (set !== undefined) planSet(set);
    }
    const was = old?.objects.get(name);
    const same = was?.kind === kind && was.text === text && uses.every((used) => kernel(used) === oldKernel(used));
    const body = same ? was.body : withNames(text, kernel);
    // A chain keeps its name whatever it says, so that what leads to it can stay as well.
    const stays = kind === 'chain' ? (was?.kind === kind ? was : undefined) : byBody.get(bodyKey({ kind, body }));
    if (stays === undefined) made.add(name);
    else if (stays.body !== body) rewritten.add(name);
    objects.set(name, { kind, text, body, kernel: stays?.kernel ?? kernelName(name, generation) });
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

function holdsSame(was: HeldSet, wanted: HeldSet, kernel: string): boolean {
  return (
    renderDeclaration(was.set) === renderDeclaration(wanted.set) && elementChange(kernel, was, wanted) === undefined
  );
}

function bodyKey({ kind, body }: Pick<RenderedObject, 'kind' | 'body'>): string {
  return `${kind} ${body}`;
}
