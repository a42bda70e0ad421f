/** A value of YAML's core schema; mappings inherit nothing. */
export type YamlValue = null | boolean | number | string | typeof REPORTED | readonly YamlValue[] | YamlMapping;

/** A mapping, with keys escaped by {@link escapeKey}. */
export interface YamlMapping {
  readonly [key: string]: YamlValue;
}

/** Stands for a value with a reported mistake: no schema accepts it, and nothing reports it again. */
export const REPORTED = Symbol('reported');

/**
 * Makes mappings. Like objects without a prototype they have no keys but their own; unlike those they are small and
 * quick to read, since the engine sees that thousands of rules have the same keys.
 */
export const Mapping = function () {} as unknown as new () => Record<string, YamlValue>;
Mapping.prototype = Object.create(null) as Record<string, YamlValue>;

/** Whether a value is a mapping. */
export function isMapping(value: YamlValue | undefined): value is YamlMapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Puts a `~` before the key `__proto__`, which zod skips silently in mappings of every kind, so that zod checks it like
 * any other key. `~__proto__` gets one more, so that no two keys become one.
 */
export function escapeKey(key: string): string {
  return /^~*__proto__$/.test(key) ? `~${key}` : key;
}

/** The key that {@link escapeKey} was given. */
export function unescapeKey(key: string): string {
  return /^~+__proto__$/.test(key) ? key.slice(1) : key;
}
