import type { ElementChange } from '../model/element-change.ts';
import type { DynamicSet, InForce, Rendered, RenderedObject } from '../model/in-force.ts';
import type { AddressMap, AddressSet } from '../model/ruleset.ts';
import { elementChange } from './element-difference.ts';
import { kernelName } from './names.ts';
import { namesIn, type ObjectLine, type RenderedRuleset, withNames } from './render-objects.ts';
import { renderDeclaration } from './render-set.ts';
import { carrySum } from './stamp-text.ts';

/** Which objects in force can stay as they are, what the others will be called, and what differs in sets that stay. */
export interface NamePlan {
  readonly generation: number;
  /** Nothing but elements differs, and they can be changed in place. */
  readonly onlyElements: boolean;
  readonly differences: readonly ElementChange[];
  readonly kernel: (name: string) => string;
  readonly rendered: Rendered;
  readonly isNew: (name: string) => boolean;
}

/** Plans the names under which `wanted` goes into the kernel, beside what is there. */
export function planNames(wanted: RenderedRuleset, inForce: InForce | undefined): NamePlan {
  const generation = (inForce?.generation ?? 0) + 1;
  const old = inForce?.rendered;
  const inPlace = planWith(wanted, { generation, old, keepDiffering: true });
  return inPlace.onlyElements || inPlace.differences.length === 0
    ? inPlace
    : // INVARIANT: packets meet the whole old or the whole new ruleset, so sets that change along with rules are made anew.
      planWith(wanted, { generation, old, keepDiffering: false });
}

interface PlanOptions {
  readonly generation: number;
  readonly old: Rendered | undefined;
  /** Whether a set whose elements differ keeps its name. */
  readonly keepDiffering: boolean;
}

function planWith(wanted: RenderedRuleset, { generation, old, keepDiffering }: PlanOptions): NamePlan {
  const names = new Map<string, string>();
  const fresh = new Set<string>();
  const kernel = (name: string): string => names.get(name) ?? name;
  const oldKernel = (name: string): string => old?.objects.get(name)?.kernel ?? old?.dynamic.get(name)?.kernel ?? name;
  const byBody = new Map([...(old?.objects.values() ?? [])].map((object) => [objectKey(object), object]));
  const objects = new Map<string, RenderedObject>();
  const dynamic = new Map<string, DynamicSet>();
  const differences: ElementChange[] = [];
  const dynamicOf = new Map(wanted.dynamic.map((set) => [set.name, set]));
  const planDynamic = (set: AddressSet | AddressMap): void => {
    if (names.has(set.name)) return;
    const was = old?.dynamic.get(set.name);
    if (was === undefined || renderDeclaration(was.set) !== renderDeclaration(set)) {
      names.set(set.name, kernelName(set.name, generation));
      fresh.add(set.name);
    } else {
      const held = { set, chain: (name: string) => kernel(wanted.canonical(name)) };
      const change = elementChange(was.kernel, { set: was.set, chain: oldKernel }, held);
      if (change !== undefined) {
        differences.push(change);
        if (set.kind === 'addresses' && was.set.kind === 'addresses') carrySum(was.set.elements, set.elements, change);
      }
      const stays = change === undefined || keepDiffering;
      names.set(set.name, stays ? was.kernel : kernelName(set.name, generation));
      if (!stays) fresh.add(set.name);
    }
    dynamic.set(set.name, { set, kernel: kernel(set.name) });
  };
  for (const { kind, name, declaration, body } of wanted.objects) {
    for (const used of namesIn(body)) {
      const set = dynamicOf.get(used);
      if (set !== undefined) planDynamic(set);
    }
    const resolved = `${declaration}\n${withNames(body, kernel)}`;
    const same = byBody.get(objectKey({ kind, body: resolved }));
    names.set(name, same?.kernel ?? kernelName(name, generation));
    if (same === undefined) fresh.add(name);
    objects.set(name, { kind, body: resolved, kernel: kernel(name) });
  }
  for (const set of wanted.dynamic) planDynamic(set);
  const base = wanted.base.map(({ chain, lines }) => `${chain.name}\n${linesText(lines, kernel)}`).join('\n');
  const rules =
    wanted.objects.reduce((sum, { kind, lines }) => sum + (kind === 'chain' ? lines.length : 0), 0) +
    wanted.base.reduce((sum, { lines }) => sum + lines.length, 0);
  const rendered: Rendered = { objects, dynamic, base, judges: wanted.judges, rules };
  const onlyElements =
    fresh.size === 0 && old?.base === base && old.objects.size === objects.size && old.dynamic.size === dynamic.size;
  return { generation, onlyElements, differences, kernel, rendered, isNew: (name) => fresh.has(name) };
}

function objectKey({ kind, body }: Pick<RenderedObject, 'kind' | 'body'>): string {
  return `${kind} ${body}`;
}

function linesText(lines: readonly ObjectLine[], kernel: (name: string) => string): string {
  return withNames(lines.map(({ text }) => text).join('\n'), kernel);
}
