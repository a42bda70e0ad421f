import { z } from 'zod';
import { unescapeKey } from '#core/read/yaml/yaml-value.ts';

/** What a mapping of the policy format is called, and what editors are told of it. */
export interface MappingMeta {
  /** The noun of messages and of the manual: `an inbound rule`. */
  readonly title: string;
  /** What messages expect in its place; the title unless given. */
  readonly expected?: string;
  readonly id?: string;
  readonly description?: string;
  readonly anyOf?: readonly { readonly required: readonly string[] }[];
  readonly oneOf?: readonly { readonly required: readonly string[] }[];
}

/** A mapping with these keys and no others; its metadata names it wherever it stands. */
export function mapping<Shape extends z.core.$ZodShape>(shape: Shape, { expected, ...meta }: MappingMeta) {
  return z.strictObject(shape, { error: expected ?? meta.title }).meta(meta);
}

/** A key that may have no value (`inbound:`), as if it were left out. */
export function mayBeEmpty<Schema extends z.ZodType>(schema: Schema) {
  return schema
    .nullish()
    .transform((value) => value ?? undefined)
    .optional();
}

/** Entries by name. The result has no prototype, so that every name is safe. */
export function named<Schema extends z.ZodType>(entry: Schema, error: string, description: string) {
  return mayBeEmpty(
    z.record(z.string(), entry, { error }).transform((entries) => {
      const byName: Record<string, z.output<Schema>> = Object.create(null);
      for (const [key, value] of Object.entries(entries)) byName[unescapeKey(key)] = value;
      return byName;
    }),
  ).describe(description);
}

/** An entry that may be a name alone (`web:`), without a body. */
export function mayBeBare<Schema extends z.ZodObject>(schema: Schema) {
  return schema.nullable().transform((value) => value ?? ({} as NonNullable<typeof value>));
}

/** A name alone as a mapping without keys, so that the keys it must have are reported as missing. */
export function emptyIfBare<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value) => (value === null ? {} : value), schema);
}

/** The pattern of names of groups. */
export const NAME_PATTERN = '^[A-Za-z0-9_.-]{1,64}$';
/** A name of one kind, such as `the name of a security group`. */
export const name = (error: string) => z.string({ error });
/** The name of a security group. */
export const groupName = name('the name of a security group').meta({ pattern: NAME_PATTERN });
/** Any text. */
export const text = z.string({ error: 'text' });
/** A switch. */
export const flag = z.boolean({ error: '`true` or `false`' });
/** A note for people. */
export const description = text.optional().describe('What it is for, in your words.');
