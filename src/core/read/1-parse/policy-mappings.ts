import { z } from 'zod';
import type { Path } from '#core/read/yaml/node-positions.ts';
import { assertedTrafficSchema, assertionSchema } from './assertion-schema.ts';
import { lintSchema } from './lint-schema.ts';
import { dropInSchema } from './policy-schema.ts';
import { managementRuleSchema } from './rule-schema.ts';

/** A mapping of the policy format: what messages call it, and the keys it may have. */
export interface PolicyMapping {
  readonly what: string;
  readonly keys: readonly string[];
}

/** A part of the manual: a mapping that has places of its own, and what its keys mean. */
export interface PolicySection {
  /** The keys from the root to each of its places, `NAME` for one of the user's choice; empty for the root. */
  readonly places: readonly string[];
  readonly what: string;
  readonly keys: readonly PolicyKey[];
}

/** A key, and what editors and the manual say of it. */
interface PolicyKey {
  readonly key: string;
  readonly description: string;
}

/** A place of the format. */
interface Place {
  readonly mapping: PolicyMapping | undefined;
  readonly keys: ReadonlyMap<string, Place>;
  /** What every entry of a list is, or of a mapping with names of the user's choice. */
  readonly entry: { readonly kind: 'item' | 'name'; readonly place: Place } | undefined;
}

type Schema = z.core.$ZodType;

/** The mappings with places of their own; what stands in for text, such as a remote that is a group, has none. */
const sections = new Map<Schema, { readonly mapping: PolicyMapping; readonly places: string[] }>();

const ROOT = placeOf(dropInSchema, []);

const ELSEWHERE: PolicyMapping = { what: 'this place', keys: [] };

/** The mapping that stands at a path of the policy format. */
export function mappingAt(path: Path): PolicyMapping {
  let place: Place | undefined = ROOT;
  for (const key of path) place = place && inside(place, key);
  return place?.mapping ?? ELSEWHERE;
}

/** Whether a path ends with a name of the user's choice. */
export function isName(path: Path): boolean {
  let place: Place | undefined = ROOT;
  for (const key of path.slice(0, -1)) place = place && inside(place, key);
  return typeof path.at(-1) === 'string' && place?.entry?.kind === 'name';
}

/** The mappings with `key`, of those that people write over several lines; none if too many have it. */
export function mappingsWith(key: string): readonly string[] {
  const whats = [...sections].flatMap(([schema, { mapping }]) =>
    !IN_BRACES.has(schema) && mapping.keys.includes(key) ? [mapping.what] : [],
  );
  return whats.length > MAX_OWNERS ? [] : whats;
}

/** A key that more mappings have does not tell where it belongs. */
const MAX_OWNERS = 2;

/** Mappings that people write in braces, or as entries that other mappings resemble. */
const IN_BRACES: ReadonlySet<Schema> = new Set([
  lintSchema,
  managementRuleSchema,
  assertionSchema,
  assertedTrafficSchema,
]);

/** What the manual says of the format, in the order in which people meet it. */
export function policySections(): readonly PolicySection[] {
  return [...sections].map(([schema, { mapping, places }]) => ({
    places,
    what: mapping.what,
    keys: Object.entries((schema as z.ZodObject).shape).map(([key, value]) => ({
      key,
      description: descriptionOf(value) ?? '',
    })),
  }));
}

function inside({ keys, entry }: Place, key: string | number): Place | undefined {
  // A list in place of names is a mistake that is looked at like the names.
  if (typeof key === 'number') return entry?.place;
  return entry?.kind === 'name' ? entry.place : keys.get(key);
}

function placeOf(outer: Schema, path: readonly string[]): Place {
  const schema = unwrapped(outer);
  if (schema instanceof z.ZodObject) return placeOfMapping(schema, path);
  if (schema instanceof z.ZodRecord) return placeOfEntries('name', schema.valueType, [...path, 'NAME']);
  if (schema instanceof z.ZodArray) return placeOfEntries('item', schema.element, path);
  if (schema instanceof z.ZodUnion) return placeOfUnion(schema);
  return { mapping: undefined, keys: new Map(), entry: undefined };
}

function placeOfEntries(kind: 'item' | 'name', schema: Schema, path: readonly string[]): Place {
  return { mapping: undefined, keys: new Map(), entry: { kind, place: placeOf(schema, path) } };
}

function placeOfMapping(schema: z.ZodObject, path: readonly string[]): Place {
  const section = sections.get(schema) ?? { mapping: mappingOf(schema, [schema]), places: [] };
  section.places.push(path.join(' '));
  // What stands in many places comes after all but the last of them.
  sections.delete(schema);
  sections.set(schema, section);
  const entries = Object.entries(schema.shape);
  const keys = new Map(entries.map(([key, value]): [string, Place] => [key, placeOf(value, [...path, key])]));
  return { mapping: section.mapping, keys, entry: undefined };
}

/** A place for text or a mapping: what can stand there as a mapping has the keys of them all. */
function placeOfUnion(schema: z.ZodUnion): Place {
  const mappings = schema.options.filter((option) => option instanceof z.ZodObject);
  const mapping = mappings.length === 0 ? undefined : mappingOf(schema, mappings);
  return { mapping, keys: new Map(), entry: undefined };
}

function mappingOf(schema: z.ZodType, alternatives: readonly z.ZodObject[]): PolicyMapping {
  const what = schema.meta()?.title;
  if (what === undefined) throw new Error('a mapping of the policy format has no title');
  return { what, keys: alternatives.flatMap(({ shape }) => Object.keys(shape)) };
}

/** The schema of what is written, without what may be left out and what is made of it. */
function unwrapped(schema: Schema): Schema {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return unwrapped(schema.unwrap());
  if (schema instanceof z.ZodPipe) return unwrapped(schema.in instanceof z.ZodTransform ? schema.out : schema.in);
  return schema;
}

/** What the outermost schema that says anything says. */
function descriptionOf(schema: Schema): string | undefined {
  const { description } = schema as z.ZodType;
  if (description !== undefined) return description;
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() : undefined;
  return inner === undefined ? undefined : descriptionOf(inner);
}
