import { isLabelChain } from '#core/model/nft/label-chains.ts';
import type {
  AddressMap,
  AddressSet,
  LogLimit,
  NftChain,
  NftSet,
  RecentEnds,
  Ruleset,
} from '#core/model/nft/ruleset.ts';
import type { RuleOrigin } from '#core/model/policy/rule.ts';
import { BASE_CHAINS } from './names.ts';
import { type KernelNames, renderRule } from './render-rule.ts';
import { isDynamic, isMap, renderDeclaration, renderElements } from './render-set.ts';

/** One line of an object, with the ruleset's names in it, and the rule of the policy it was made from. */
export interface ObjectLine {
  readonly text: string;
  readonly origin: RuleOrigin | undefined;
}

/** A chain, set or map that changes only with the rules. */
export interface StaticObject {
  readonly kind: 'chain' | 'set' | 'map';
  readonly name: string;
  /** The declaration of a set or map; empty for chains. */
  readonly declaration: string;
  readonly lines: readonly ObjectLine[];
  /** All of it except its name: the declaration, then a line for each of `lines`. Objects with the same kind and text do the same. */
  readonly text: string;
  /** The ruleset's names in it. */
  readonly uses: readonly string[];
}

/** A ruleset in nft's language, still with the ruleset's names of chains and sets. */
export interface RenderedRuleset {
  /** Without duplicates, and each behind those it refers to. */
  readonly objects: readonly StaticObject[];
  readonly dynamic: readonly (AddressSet | AddressMap)[];
  readonly base: readonly { readonly chain: NftChain; readonly lines: readonly ObjectLine[] }[];
  readonly chainSets: readonly string[];
  /** As in a {@link Ruleset}. */
  readonly limits: readonly LogLimit[];
  /** As in a {@link Ruleset}. */
  readonly recent: readonly RecentEnds[];
  /** The name of the object that stands for the one of this name: itself, or one that does the same. */
  readonly canonical: (name: string) => string;
}

/** Marks around a name within a text. No text of a policy contains them, since only printable characters are printed. */
const OPEN = '\u0001';
const CLOSE = '\u0002';
const MARKED = /\u0001([^\u0002]*)\u0002/g;

/** The text with each name of the ruleset replaced. */
export function withNames(text: string, kernel: (name: string) => string): string {
  return text.replace(MARKED, (_, name: string) => kernel(name));
}

/** The lines of an object whose text, names replaced, is `body`. */
export function linesWithNames({ lines }: StaticObject, body: string): readonly ObjectLine[] {
  const [, ...texts] = body.split('\n');
  return lines.map(({ origin }, i) => ({ text: texts[i] ?? '', origin }));
}

/** Renders a ruleset once; equal chains and maps become one. Throws if two objects have one name. */
export function renderRuleset({ sets, chains, chainSets, limits, recent }: Ruleset): RenderedRuleset {
  const setOf = byName(sets);
  const chainOf = byName(chains);
  // Sets and chains share one map of names.
  byName([...sets, ...chains]);
  const canonicalNames = new Map<string, string>();
  const byBody = new Map<string, string>();
  const objects: StaticObject[] = [];
  const keep = (object: StaticObject): string => {
    const key = `${object.kind} ${object.text}`;
    const same = byBody.get(key);
    if (same !== undefined) return same;
    byBody.set(key, object.name);
    objects.push(object);
    return object.name;
  };
  const canonical = (name: string): string => {
    const existing = canonicalNames.get(name);
    if (existing !== undefined) return existing;
    const set = setOf.get(name);
    const chain = chainOf.get(name);
    const standIn =
      set !== undefined
        ? canonicalSet(set)
        : chain === undefined || isPersistent(chain)
          ? name
          : keep(chainObject(chain));
    canonicalNames.set(name, standIn);
    return standIn;
  };
  const canonicalSet = (set: NftSet): string => {
    if (!isDynamic(set)) return keep(setObject(set));
    // The chains that its elements go to come before it.
    if (set.kind === 'addressMap')
      for (const { verdict } of set.elements) if ('chain' in verdict) canonical(verdict.chain);
    return set.name;
  };
  const namesInto = (uses: Set<string>): KernelNames => {
    const named = (name: string): string => {
      const used = canonical(name);
      uses.add(used);
      return `${OPEN}${used}${CLOSE}`;
    };
    return { set: named, chain: named };
  };
  const chainObject = ({ name, rules }: NftChain): StaticObject => {
    const uses = new Set<string>();
    const names = namesInto(uses);
    const lines = rules.map((rule) => ({ text: renderRule(rule, names), origin: rule.origin }));
    return staticObject({ kind: 'chain', name, declaration: '', lines }, uses);
  };
  const setObject = (set: Exclude<NftSet, AddressSet>): StaticObject => {
    const uses = new Set<string>();
    const origins = 'elements' in set ? set.elements.map(({ origin }) => origin) : [];
    const lines = renderElements(set, namesInto(uses)).map((text, i) => ({ text, origin: origins[i] }));
    const kind = isMap(set) ? 'map' : 'set';
    return staticObject({ kind, name: set.name, declaration: renderDeclaration(set), lines }, uses);
  };
  const base = chains
    .filter(({ hook }) => hook !== undefined)
    .map((chain) => ({ chain, lines: chainObject(chain).lines }));
  return {
    objects,
    dynamic: sets.filter(isDynamic).filter(({ name }) => canonicalNames.has(name)),
    base,
    chainSets,
    limits,
    recent,
    canonical,
  };
}

/** INVARIANT: no two objects have one name, or packets of one would meet the other. */
function byName<Named extends { readonly name: string }>(objects: readonly Named[]): ReadonlyMap<string, Named> {
  const named = new Map<string, Named>();
  for (const object of objects) {
    if (named.has(object.name)) throw new Error(`two objects of a ruleset are called ${object.name}`);
    named.set(object.name, object);
  }
  return named;
}

function isPersistent({ name, hook }: NftChain): boolean {
  return hook !== undefined || BASE_CHAINS.includes(name) || isLabelChain(name);
}

function staticObject(object: Omit<StaticObject, 'text' | 'uses'>, uses: ReadonlySet<string>): StaticObject {
  const text = [object.declaration, ...object.lines.map((line) => line.text)].join('\n');
  return { ...object, text, uses: [...uses] };
}
