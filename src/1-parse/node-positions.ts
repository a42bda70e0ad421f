import { type Alias, type Document, isAlias, isMap, isSeq, type Node, type Scalar, type YAMLMap } from 'yaml';
import type { Span } from '../model/span.ts';
import { nodeExtent } from './node-extent.ts';
import type { SpanAt } from './text-positions.ts';

/** Keys and indices from the root of a document to a place in it. */
export type Path = readonly (string | number)[];

/** Where the values and keys of a document stand. A path that leads nowhere gives the nearest place above that exists. */
export interface NodePositions {
  /** The span of a value; an empty one has no text of its own, so its key stands for it. */
  readonly spanOf: (path: Path) => Span;
  /** The span of the key at the path's end; in a list, of the entry. */
  readonly keySpanOf: (path: Path) => Span;
  /** The value at the path, if there is one; aliases are what they name. */
  readonly nodeAt: (path: Path) => Node | undefined;
}

interface Step {
  readonly key: Scalar<string> | undefined;
  readonly node: Node | undefined;
}

type Keys = ReadonlyMap<string, Step>;

/** Mappings are indexed on first use, so that a span costs as much as its path is long, however many entries there are. */
export function nodePositions(
  document: Document.Parsed,
  targets: ReadonlyMap<Alias, Node>,
  spanAt: SpanAt,
): NodePositions {
  const indices = new WeakMap<YAMLMap, Keys>();
  const keysOf = (map: YAMLMap): Keys => {
    const known = indices.get(map);
    if (known !== undefined) return known;
    const keys = new Map<string, Step>();
    for (const { key, value } of (map as YAMLMap<Scalar<string>, Node | null>).items) {
      // Of a key written twice the first counts, as it does for the values.
      if (!keys.has(key.value)) keys.set(key.value, { key, node: value ?? undefined });
    }
    indices.set(map, keys);
    return keys;
  };
  const follow = (node: Node | undefined): Node | undefined => (isAlias(node) ? targets.get(node) : node);
  const child = (parent: Node | undefined, at: string | number): Step | undefined => {
    const node = follow(parent);
    if (isMap(node)) return keysOf(node).get(String(at));
    if (!isSeq(node) || typeof at !== 'number' || at >= node.items.length) return undefined;
    return { key: undefined, node: (node.items[at] as Node | null) ?? undefined };
  };
  const root: Step = { key: undefined, node: document.contents ?? undefined };
  /** The steps along the path, the root first, as far as they exist. */
  const walk = (path: Path): readonly Step[] => {
    const steps = [root];
    for (const at of path) {
      const next = child(steps.at(-1)?.node, at);
      if (next === undefined) break;
      steps.push(next);
    }
    return steps;
  };
  const valueSpan = (steps: readonly Step[]): Span => {
    for (const { key, node } of steps.toReversed()) {
      const value = follow(node);
      const [start, end] = value === undefined ? [0, 0] : nodeExtent(value);
      if (end > start) return spanAt(start, end);
      if (key !== undefined) return spanAt(...nodeExtent(key));
      if (value !== undefined) return spanAt(start, start);
    }
    return spanAt(0, 0);
  };
  return {
    spanOf: (path) => valueSpan(walk(path)),
    keySpanOf: (path) => {
      const steps = walk(path);
      const key = steps.length === path.length + 1 ? steps.at(-1)?.key : undefined;
      return key === undefined ? valueSpan(steps) : spanAt(...nodeExtent(key));
    },
    nodeAt: (path) => {
      const steps = walk(path);
      return steps.length === path.length + 1 ? follow(steps.at(-1)?.node) : undefined;
    },
  };
}
