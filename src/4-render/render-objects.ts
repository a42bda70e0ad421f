import type { RuleOrigin } from '../model/rule.ts';
import type { AddressMap, AddressSet, NftChain, NftSet, Ruleset } from '../model/ruleset.ts';
import { BASE_CHAINS, isLabelChain } from './names.ts';
import { type KernelNames, renderRule } from './render-rule.ts';
import { isDynamic, isMap, renderDeclaration, renderElements } from './render-set.ts';

/** One line of an object with the ruleset's names in it, and the rule of the policy it comes from. */
export interface ObjectLine {
  readonly text: string;
  readonly origin: RuleOrigin | undefined;
}

/** A chain, set or map that changes with the rules alone. */
export interface StaticObject {
  readonly kind: 'chain' | 'set' | 'map';
  readonly name: string;
  /** How a set or map is declared; empty for chains. */
  readonly declaration: string;
  readonly lines: readonly ObjectLine[];
  /** All of it but its name: two objects of one kind and body do the same. */
  readonly body: string;
}

/** A ruleset in nft's words, with the ruleset's names of chains and sets still in them. */
export interface RenderedRuleset {
  /** Each different one once, and each behind those it refers to. */
  readonly objects: readonly StaticObject[];
  readonly dynamic: readonly (AddressSet | AddressMap)[];
  readonly base: readonly { readonly chain: NftChain; readonly lines: readonly ObjectLine[] }[];
  readonly judges: readonly string[];
  /** The object that stands for the one of this name: itself, or one that does the same. */
  readonly canonical: (name: string) => string;
}

/** Marks of a name within a text; they are in no text of a policy, for what is not printable is never printed. */
const OPEN = '\u0001';
const CLOSE = '\u0002';
const MARKED = /\u0001([^\u0002]*)\u0002/g;

/** The text with each name of the ruleset replaced. */
export function withNames(text: string, kernel: (name: string) => string): string {
  return text.replace(MARKED, (_, name: string) => kernel(name));
}

/** The ruleset's names in a text. */
export function namesIn(text: string): readonly string[] {
  return Array.from(text.matchAll(MARKED), ([, name = '']) => name);
}

/** Renders a ruleset, once; equal chains and maps become one. */
export function renderRuleset({ sets, chains, judges }: Ruleset): RenderedRuleset {
  const setOf = new Map(sets.map((set) => [set.name, set]));
  const chainOf = new Map(chains.map((chain) => [chain.name, chain]));
  const canonicalNames = new Map<string, string>();
  const byBody = new Map<string, string>();
  const objects: StaticObject[] = [];
  const mark = (name: string): string => `${OPEN}${name}${CLOSE}`;
  const keep = (object: StaticObject): string => {
    const key = `${object.kind} ${object.declaration} ${object.body}`;
    const same = byBody.get(key);
    if (same !== undefined) return same;
    byBody.set(key, object.name);
    objects.push(object);
    return object.name;
  };
  const canonical = (name: string): string => {
    const known = canonicalNames.get(name);
    if (known !== undefined) return known;
    const set = setOf.get(name);
    const chain = chainOf.get(name);
    const found =
      set !== undefined
        ? canonicalSet(set)
        : chain === undefined || isPersistent(chain)
          ? name
          : keep(chainObject(chain));
    canonicalNames.set(name, found);
    return found;
  };
  const canonicalSet = (set: NftSet): string => {
    if (!isDynamic(set)) return keep(setObject(set, names));
    // What its elements lead to comes before it.
    if (set.kind === 'addressMap')
      for (const { verdict } of set.elements) if ('chain' in verdict) canonical(verdict.chain);
    return set.name;
  };
  const names: KernelNames = { set: (name) => mark(canonical(name)), chain: (name) => mark(canonical(name)) };
  const chainObject = ({ name, rules }: NftChain): StaticObject => {
    const lines = rules.map((rule) => ({ text: renderRule(rule, names), origin: rule.origin }));
    return { kind: 'chain', name, declaration: '', lines, body: lines.map(({ text }) => text).join('\n') };
  };
  const base = chains
    .filter(({ hook }) => hook !== undefined)
    .map((chain) => ({ chain, lines: chainObject(chain).lines }));
  return {
    objects,
    dynamic: sets.filter(isDynamic).filter(({ name }) => canonicalNames.has(name)),
    base,
    judges,
    canonical,
  };
}

function isPersistent({ name, hook }: NftChain): boolean {
  return hook !== undefined || BASE_CHAINS.includes(name) || isLabelChain(name);
}

function setObject(set: NftSet, names: KernelNames): StaticObject {
  const origins = 'elements' in set && set.kind !== 'addresses' ? set.elements.map(({ origin }) => origin) : [];
  const lines = renderElements(set, names).map((text, i) => ({ text, origin: origins[i] }));
  return {
    kind: isMap(set) ? 'map' : 'set',
    name: set.name,
    declaration: renderDeclaration(set),
    lines,
    body: lines.map(({ text }) => text).join('\n'),
  };
}
