import type { Path } from '#core/read/yaml/node-positions.ts';
import { escapeKey, isMapping, unescapeKey, type YamlValue } from '#core/read/yaml/yaml-value.ts';

/** A key of a mapping, escaped, or an index into a list. */
type Key = string | number;

/** Where each part of a document with mistakes was written, after its keys and entries were moved or dropped. */
export class Origins {
  readonly #moved = new WeakMap<object, ReadonlyMap<Key, Key>>();

  /** Notes under which keys the entries of `container` stood in `before`, which it was made from. */
  note(container: object, before: object, moves: ReadonlyMap<Key, Key>): void {
    const earlier = this.#moved.get(before);
    const all = new Map(earlier);
    for (const [key, from] of moves) all.set(key, earlier?.get(from) ?? from);
    if (all.size > 0) this.#moved.set(container, all);
  }

  /** The path in the file of what is at `path` of `root`. */
  pathInFile(root: YamlValue, path: Path): Path {
    let value: YamlValue | undefined = root;
    return path.map((at) => {
      const key = typeof at === 'string' ? escapeKey(at) : at;
      const container: YamlValue | undefined = value;
      value = childOf(container, key);
      const from =
        typeof container === 'object' && container !== null ? this.#moved.get(container)?.get(key) : undefined;
      return typeof from === 'string' ? unescapeKey(from) : (from ?? at);
    });
  }
}

function childOf(value: YamlValue | undefined, key: Key): YamlValue | undefined {
  if (Array.isArray(value)) return (value as readonly YamlValue[])[Number(key)];
  return isMapping(value) ? value[key] : undefined;
}
